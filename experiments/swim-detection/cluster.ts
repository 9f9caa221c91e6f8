/** A cluster of processes on the loopback, ours or memberlist's, and what each of them has told. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

export const MEMBERLIST = join(__dirname, '../../../.tools/bin/memberlist');

export const KINDS = ['ours', 'memberlist'] as const;
export type Kind = (typeof KINDS)[number];
export type Profile = 'lan' | 'fast';

/** A line of a member. `leave`: whoever it names is dead to it, or has left. */
export interface Told {
  event: 'started' | 'joined' | 'join' | 'leave' | 'suspect' | 'update';
  name?: string;
  address?: string;
}

const WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 5;

export async function until(
  what: string,
  holds: () => boolean,
  withinMs = WITHIN_MS,
): Promise<void> {
  const endsAt = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > endsAt) throw new Error(`Not within ${withinMs} ms: ${what}`);
    await delay(LOOK_EVERY_MS);
  }
}

export class Member {
  address = '';
  /** When, on our clock, it told what of whom. */
  readonly told: { atMs: number; event: Told['event']; name: string }[] = [];

  private constructor(
    readonly name: string,
    private readonly child: ChildProcessByStdio<Writable, Readable, null>,
  ) {
    createInterface(child.stdout).on('line', (line) => {
      const { event, name: whom = '', address } = JSON.parse(line) as Told;
      if (event === 'started') this.address = address ?? '';
      this.told.push({ atMs: performance.now(), event, name: whom });
    });
  }

  static async start(kind: Kind, name: string, profile: Profile): Promise<Member> {
    const [command, args] =
      kind === 'ours'
        ? [process.execPath, [join(__dirname, 'member.js'), name, profile]]
        : [MEMBERLIST, [`-name=${name}`, `-profile=${profile}`]];
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const member = new Member(name, child);
    await until(`${name} starts`, () => member.address !== '');
    return member;
  }

  join(address: string): void {
    this.child.stdin.write(`join ${address}\n`);
  }

  /** True while it lists that one, alive or suspect. */
  lists(name: string): boolean {
    const last = this.told
      .filter((line) => line.name === name && (line.event === 'join' || line.event === 'leave'))
      .at(-1);
    return last?.event === 'join';
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

export class Cluster {
  private constructor(readonly members: readonly Member[]) {}

  /** Ready once all list all. */
  static async start(kind: Kind, profile: Profile, count: number): Promise<Cluster> {
    const members: Member[] = [];
    const cluster = new Cluster(members);
    try {
      for (let i = 0; i < count; i += 1) {
        const member = await Member.start(kind, `m${i}`, profile);
        members.push(member);
        member.join(members[0]?.address ?? '');
      }
      await until('all list all', () => cluster.whole());
      return cluster;
    } catch (error) {
      await cluster.end();
      throw error;
    }
  }

  whole(): boolean {
    const others = (name: string): Member[] => this.members.filter((one) => one.name !== name);
    return this.members.every(({ name }) => others(name).every((other) => other.lists(name)));
  }

  /** Of those that were told since `sinceMs`. */
  count(event: Told['event'], sinceMs: number, about: (name: string) => boolean): number {
    return this.members
      .flatMap(({ told }) => told)
      .filter((line) => line.event === event && line.atMs >= sinceMs && about(line.name)).length;
  }

  async end(): Promise<void> {
    await Promise.all(this.members.map((member) => member.end()));
  }
}
