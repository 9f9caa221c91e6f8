/** Members on the loopback, for tests. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import { until } from '../testing/until';
import type { Membership, MemberView } from './membership';
import type { Notice } from './protocol';
import { type MembershipOptions, startMembership } from './start';

export interface Started {
  membership: Membership;
  notices: Notice[];
}

/** Closed with the test. */
export async function member(
  t: TestContext,
  name: string,
  options: Partial<MembershipOptions> = {},
): Promise<Started> {
  const notices: Notice[] = [];
  const membership = await startMembership({
    name,
    boot: `${name}-boot`,
    listen: '127.0.0.1:0',
    profile: 'fast',
    keys: null,
    label: 'test',
    onNotice: (notice) => notices.push(notice),
    ...options,
  });
  t.after(() => membership.close());
  return { membership, notices };
}

/** m0 …, each with an address of its own, all of which list one another. */
export async function cluster(
  t: TestContext,
  count: number,
  options: Partial<MembershipOptions> = {},
): Promise<Membership[]> {
  const names = Array.from({ length: count }, (_, i) => `m${i}`);
  const started = await Promise.all(
    names.map((name, i) => member(t, name, { listen: `127.0.0.${i + 1}:0`, ...options })),
  );
  const members = started.map(({ membership }) => membership);
  await Promise.all(members.slice(1).map((one) => one.join([members[0]?.address ?? ''])));
  await until('all list all', () => members.every((one) => listed(one, 'alive').length === count));
  return members;
}

export const listed = (membership: Membership, state: MemberView['state']): string[] =>
  membership
    .members()
    .filter((one) => one.state === state)
    .map(({ name }) => name)
    .sort();

export const seen = (membership: Membership, name: string): MemberView | undefined =>
  membership.members().find((one) => one.name === name);

/** A key file that goes with the test; one key by chance where none is given. */
export function keyFile(t: TestContext, ...keys: Buffer[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'aether-gossip-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'gossip.keys');
  writeKeys(path, keys.length === 0 ? [randomBytes(32)] : keys);
  return path;
}

/** As an operator replaces it: never half of it is seen. */
export function writeKeys(path: string, keys: readonly Buffer[]): void {
  writeFileSync(`${path}.new`, keys.map((key) => `${key.toString('base64')}\n`).join(''));
  renameSync(`${path}.new`, path);
}

const MEMBERLIST = join(__dirname, '../../../.tools/bin/memberlist');

interface GoLine {
  event: 'started' | 'joined' | 'members' | 'keys' | 'join' | 'leave' | 'update';
  name?: string;
  address?: string;
  count?: number;
  members?: { name: string }[];
}

/** The real one: testdata/memberlist, as scripts/setup builds it. */
export class GoMember {
  address = '';
  private readonly lines: GoLine[] = [];

  private constructor(private readonly child: ChildProcessByStdio<Writable, Readable, null>) {
    createInterface(child.stdout).on('line', (line) => this.lines.push(JSON.parse(line)));
  }

  /** Killed with the test. */
  static async start(
    t: TestContext,
    name: string,
    options: Record<string, string | boolean> = {},
  ): Promise<GoMember> {
    const flags = Object.entries(options).map(([flag, value]) => `-${flag}=${value}`);
    const child = spawn(MEMBERLIST, [`-name=${name}`, ...flags], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const go = new GoMember(child);
    t.after(() => go.kill());
    go.address = (await go.answer('started')).address ?? '';
    return go;
  }

  /** How many answered. */
  async join(address: string): Promise<number> {
    this.child.stdin.write(`join ${address}\n`);
    return (await this.answer('joined')).count ?? 0;
  }

  /** Names of those it takes for alive. */
  async members(): Promise<string[]> {
    this.child.stdin.write('members\n');
    return ((await this.answer('members')).members ?? []).map(({ name }) => name);
  }

  /** One of its keyring; how many there are then. */
  async key(verb: 'add' | 'use' | 'remove', key: Buffer): Promise<number> {
    this.child.stdin.write(`key ${verb} ${key.toString('base64')}\n`);
    return (await this.answer('keys')).count ?? 0;
  }

  /** Resolves once it has ended. */
  async leave(): Promise<void> {
    this.child.stdin.write('leave\n');
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  times(event: GoLine['event'], name: string): number {
    return this.lines.filter((line) => line.event === event && line.name === name).length;
  }

  saw(event: GoLine['event'], name: string): boolean {
    return this.times(event, name) > 0;
  }

  private answer(event: GoLine['event']): Promise<GoLine> {
    return until(`memberlist says ${event}`, () => {
      const at = this.lines.findIndex((line) => line.event === event);
      return at < 0 ? null : this.lines.splice(at, 1)[0];
    });
  }
}
