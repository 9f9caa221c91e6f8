/** Starts the gossip of a controller, in a thread of its own. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { NAME_BYTES_MAX } from '../../core/swim/fields';
import { PROFILES } from '../../core/swim/profiles';
import { type Counter, Counters } from './counters';
import { SwimError } from './errors';
import type { Membership, MemberView } from './membership';
import type { FromThread, Notice, ThreadOptions, ToThread } from './protocol';

export interface MembershipOptions {
  /** Of the controller: unique in the cluster. */
  name: string;
  /** New at each start. */
  boot: string;
  /** `ip:port`, UDP and TCP, where others reach us; port 0 takes any. */
  listen: string;
  profile: keyof typeof PROFILES;
  /** Path of the key file; null: in the clear. */
  keys: string | null;
  /** Of the cluster, up to 64 bytes; '' none. */
  label: string;
  onNotice(notice: Notice): void;
}

const LABEL_BYTES_MAX = 64;
const BOOT_BYTES_MAX = 128;
/** For a thread to close its sockets. */
const END_MS = 2_000;

/** Listens, alone at first: `join` finds the others. Throws SwimError where it can't. */
export async function startMembership(options: MembershipOptions): Promise<Membership> {
  check(options);
  const { onNotice, profile, ...rest } = options;
  const counters = new Counters();
  const workerData: ThreadOptions = {
    ...rest,
    profile: PROFILES[profile],
    counters: counters.memory,
  };
  const worker = new Worker(join(__dirname, 'thread.js'), { workerData });
  const membership = new ThreadMembership(worker, counters, onNotice);
  await membership.started;
  return membership;
}

function check({ name, boot, label }: MembershipOptions): void {
  const refuse = (why: string): never => {
    throw new SwimError({ code: 'options', why });
  };
  const tooLong = (text: string, most: number): boolean => Buffer.byteLength(text) > most;
  if (name === '' || tooLong(name, NAME_BYTES_MAX)) refuse(`"${name}" is no name`);
  if (tooLong(boot, BOOT_BYTES_MAX)) refuse(`a boot id has up to ${BOOT_BYTES_MAX} bytes`);
  if (tooLong(label, LABEL_BYTES_MAX)) {
    refuse(`the label "${label}" has more than ${LABEL_BYTES_MAX} bytes`);
  }
}

class ThreadMembership implements Membership {
  readonly started: Promise<void>;
  address = '';
  private views: readonly MemberView[] = [];
  private health = 0;
  private ending = false;
  private readonly ended: Promise<void>;
  private readonly listeners: (() => void)[] = [];
  private readonly joins = new Map<number, (answered: number) => void>();
  private lastJoin = 0;

  constructor(
    private readonly worker: Worker,
    private readonly counted: Counters,
    private readonly onNotice: (notice: Notice) => void,
  ) {
    this.started = new Promise((resolve, reject) => {
      worker.once('exit', () => reject(new Error('the thread of the gossip did not start')));
      worker.on('message', (message: FromThread) => {
        if (message.kind === 'started') {
          this.address = message.address;
          resolve();
        } else if (message.kind === 'refused') {
          this.ending = true;
          reject(new SwimError(message.failure));
        } else this.heard(message);
      });
    });
    let why = 'its thread has ended';
    worker.on('error', (error) => {
      why = String(error);
    });
    this.ended = new Promise((resolve) => {
      worker.once('exit', () => {
        this.over(why);
        resolve();
      });
    });
  }

  members(): readonly MemberView[] {
    return this.views;
  }

  awareness(): number {
    return this.health;
  }

  counters(): Readonly<Record<Counter, number>> {
    return this.counted.read();
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  join(addresses: readonly string[]): Promise<number> {
    if (this.ending || addresses.length === 0) return Promise.resolve(0);
    this.lastJoin += 1;
    const id = this.lastJoin;
    return new Promise((resolve) => {
      this.joins.set(id, resolve);
      this.tell({ kind: 'join', id, addresses });
    });
  }

  leave(timeoutMs: number): Promise<void> {
    return this.end({ kind: 'leave', timeoutMs }, timeoutMs);
  }

  close(): Promise<void> {
    return this.end({ kind: 'close' }, 0);
  }

  /** A thread that does not end by itself is ended: a controller that stops shall not hang on it. */
  private async end(how: ToThread, withinMs: number): Promise<void> {
    if (!this.ending) {
      this.ending = true;
      this.tell(how);
    }
    const timer = setTimeout(() => void this.worker.terminate(), withinMs + END_MS);
    await this.ended;
    clearTimeout(timer);
  }

  private tell(message: ToThread): void {
    this.worker.postMessage(message);
  }

  private heard(message: FromThread): void {
    switch (message.kind) {
      case 'view':
        this.health = message.awareness;
        this.views = message.members;
        if (message.shown) this.changed();
        return;
      case 'joined':
        this.joins.get(message.id)?.(message.answered);
        this.joins.delete(message.id);
        return;
      case 'notice':
        return this.onNotice(message.notice);
      case 'started':
      case 'refused':
    }
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }

  /** Whom we no longer hear we say nothing of. */
  private over(why: string): void {
    for (const answer of this.joins.values()) answer(0);
    this.joins.clear();
    this.views = [];
    if (!this.ending) this.onNotice({ kind: 'failed', why });
    this.ending = true;
    this.changed();
  }
}
