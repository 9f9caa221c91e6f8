/** Members on the loopback, for tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

/** m0 …, all of which list one another. */
export async function cluster(
  t: TestContext,
  count: number,
  options: Partial<MembershipOptions> = {},
): Promise<Membership[]> {
  const names = Array.from({ length: count }, (_, i) => `m${i}`);
  const started = await Promise.all(names.map((name) => member(t, name, options)));
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

/** A key file that goes with the test. */
export function keyFile(t: TestContext, ...keys: Buffer[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'aether-gossip-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'gossip.keys');
  const held = keys.length === 0 ? [randomBytes(32)] : keys;
  writeFileSync(path, held.map((key) => `${key.toString('base64')}\n`).join(''));
  return path;
}
