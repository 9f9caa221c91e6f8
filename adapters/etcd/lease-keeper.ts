/**
 * Leases that are kept by a thread of their own (`lease-thread.ts`), and asked here: whether one holds is read from
 * memory that both share, so that neither a busy loop nor a late message makes anybody believe too long or too little.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { PemPaths } from '../grpc/tls';
import type { HeldLease } from './lease';
import {
  cell,
  type FromKeeper,
  type KeeperOptions,
  loadMs,
  newCell,
  sharedNow,
  storeMs,
  type ToKeeper,
} from './lease-protocol';

export interface LeaseKeeperOptions {
  readonly endpoints: readonly string[];
  /** As of `EtcdClient`. */
  readonly writer: string;
  readonly tls: PemPaths | null;
  readonly hungMs?: number;
}

const BEAT_EVERY_MS = 250;
const CLOSE_MS = 2_000;
/** 2,000 handshakes hold a loop up for 9 s. */
const HUNG_MS = 20_000;

interface Waiting {
  granted(leaseId: string): void;
  refused(why: string): void;
}

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #turned = newCell();
  readonly #waiting = new Map<number, Waiting>();
  readonly #leases = new Map<number, KeptLease>();
  readonly #beat: NodeJS.Timeout;
  #worker: Worker | null = null;
  #lastId = 0;
  #closed = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    const beat = (): void => storeMs(cell(this.#turned), sharedNow());
    beat();
    this.#beat = setInterval(beat, BEAT_EVERY_MS).unref();
  }

  /** @throws {Error} etcd does not grant it, or the thread can't run */
  async grant(ttlMs: number, everyMs: number): Promise<HeldLease> {
    if (this.#closed) throw new Error('no lease is kept any more');
    const id = ++this.#lastId;
    const valid = newCell();
    const leaseId = await new Promise<string>((granted, reject) => {
      this.#waiting.set(id, { granted, refused: (why) => reject(new Error(why)) });
      this.#tell({ kind: 'grant', id, ttlMs, everyMs, valid });
    });
    const lease = new KeptLease(leaseId, cell(valid), (totalMs) => this.#revoke(id, totalMs));
    this.#leases.set(id, lease);
    return lease;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#beat);
    const worker = this.#worker;
    if (worker === null) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    worker.postMessage({ kind: 'close' } satisfies ToKeeper);
    // What it keeps runs out by itself.
    const late = setTimeout(() => void worker.terminate(), CLOSE_MS);
    await ended;
    clearTimeout(late);
  }

  #revoke(id: number, totalMs: number): Promise<void> {
    this.#leases.delete(id);
    return new Promise((resolve) => {
      const done = (): void => resolve();
      this.#waiting.set(id, { granted: done, refused: done });
      this.#tell({ kind: 'revoke', id, totalMs });
    });
  }

  #tell(message: ToKeeper): void {
    this.#worker ??= this.#start();
    this.#worker.postMessage(message);
  }

  #start(): Worker {
    const { endpoints, writer, tls, hungMs = HUNG_MS } = this.#options;
    const workerData: KeeperOptions = { endpoints, writer, tls, hungMs, beat: this.#turned };
    const worker = new Worker(join(__dirname, 'lease-thread.js'), { workerData });
    let why = 'the thread that keeps leases has ended';
    worker.on('message', (message: FromKeeper) => this.#heard(message));
    worker.on('error', (error) => (why = `${why}: ${String(error)}`));
    worker.once('exit', () => this.#over(why));
    return worker;
  }

  #heard(message: FromKeeper): void {
    const { id } = message;
    if (message.kind === 'ended') {
      this.#leases.get(id)?.end(message.why);
      this.#leases.delete(id);
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (message.kind === 'refused') waiting?.refused(message.why);
    else waiting?.granted(message.kind === 'granted' ? message.leaseId : '');
  }

  /** The next grant starts another one. */
  #over(why: string): void {
    this.#worker = null;
    for (const { refused } of this.#waiting.values()) refused(why);
    this.#waiting.clear();
    for (const lease of this.#leases.values()) lease.end(why);
    this.#leases.clear();
  }
}

class KeptLease implements HeldLease {
  readonly #valid: BigInt64Array;
  readonly #revoke: (totalMs: number) => Promise<void>;
  readonly #ended = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly id: string,
    valid: BigInt64Array,
    revoke: (totalMs: number) => Promise<void>,
  ) {
    this.#valid = valid;
    this.#revoke = revoke;
    this.#watchEnd();
  }

  holds(): boolean {
    return this.remainingMs() > 0;
  }

  remainingMs(): number {
    if (this.#ended.signal.aborted) return 0;
    return Math.max(0, loadMs(this.#valid) - sharedNow());
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async revoke(totalMs = 1000): Promise<void> {
    this.end('revoked');
    await this.#revoke(totalMs);
  }

  end(why: string): void {
    clearTimeout(this.#timer);
    if (!this.#ended.signal.aborted) this.#ended.abort(new Error(`lease ${this.id}: ${why}`));
  }

  #watchEnd(): void {
    const remainingMs = this.remainingMs();
    if (remainingMs === 0) return this.end('no keepalive was answered in time');
    this.#timer = setTimeout(() => this.#watchEnd(), Math.ceil(remainingMs)).unref();
  }
}
