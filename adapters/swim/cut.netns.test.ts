/** The network between members fails: UDP alone, everything, a name that is used twice, a thread that is busy. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { until } from '../testing/until';
import type { Membership } from './membership';
import { cluster, listed, member, seen } from './testing';

/** Drops what goes to the address of `of`, and what comes from it, in this network namespace. */
function cut(t: TestContext, of: Membership, protocols: readonly ('udp' | 'tcp')[]): () => void {
  const [ip] = of.address.split(':');
  const rules = protocols.flatMap((protocol) => [
    `ip daddr ${ip} meta l4proto ${protocol} drop`,
    `ip saddr ${ip} meta l4proto ${protocol} drop`,
  ]);
  const table = `cut${of.address.split(':')[1]}`;
  const chain = `chain out { type filter hook output priority 0; ${rules.join('; ')}; }`;
  execFileSync('nft', [`table inet ${table} { ${chain}; }`]);
  let open = false;
  const heal = (): void => {
    if (!open) execFileSync('nft', ['delete', 'table', 'inet', table]);
    open = true;
  };
  t.after(heal);
  return heal;
}

/** A busy machine is not what is tried here: who stands still for a moment is to be forgiven. */
const PATIENT = { profile: 'lan' } as const;

test('who loses UDP alone stays alive, and it is counted', async (t) => {
  const [deaf, ...others] = await cluster(t, 3, PATIENT);
  assert.ok(deaf);
  const states = new Set<string>();
  for (const one of others) one.onChange(() => states.add(seen(one, 'm0')?.state ?? ''));
  cut(t, deaf, ['udp']);
  await until('all have reached it by TCP, twice', () =>
    others.every((one) => one.counters().reachedByStreamAlone >= 2),
  );
  assert.ok(!states.has('dead'), [...states].join());
});

test('who is cut off is dead to the others, and back once somebody joins again', async (t) => {
  const [lost, ...others] = await cluster(t, 4);
  assert.ok(lost && others[0]);
  const heal = cut(t, lost, ['udp', 'tcp']);
  await until('it is dead', () => others.every((one) => seen(one, 'm0')?.state === 'dead'));
  await until('they are dead to it', () => listed(lost, 'dead').length === 3);
  for (const one of others) assert.deepEqual(listed(one, 'alive'), ['m1', 'm2', 'm3']);
  heal();
  assert.equal(await others[0].join([lost.address]), 1);
  await until('all list all', () =>
    [lost, ...others].every((one) => listed(one, 'alive').length === 4),
  );
});

test('two processes with one name: the first stays, both are told, the name is free once it goes', async (t) => {
  const [first, ...others] = await cluster(t, 3);
  const { membership: twin, notices } = await member(t, 'm0', { boot: 'twin' });
  assert.ok(first && others[0]);
  await twin.join([others[0].address]);
  await until('it is told', () => notices.some(({ kind }) => kind === 'conflict'));
  assert.ok(others.some((one) => one.counters().conflicts > 0));
  for (const one of others) assert.equal(seen(one, 'm0')?.boot, 'm0-boot');
  await first.close();
  await until('the name is the twin’s', () =>
    others.every((one) => seen(one, 'm0')?.boot === 'twin' && seen(one, 'm0')?.state === 'alive'),
  );
});

test('a controller that is busy for two seconds is not suspected: gossip has its own thread', async (t) => {
  const members = await cluster(t, 3, PATIENT);
  const before = members.map((one) => one.counters());
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
  for (const [i, one] of members.entries()) {
    assert.deepEqual(listed(one, 'alive'), ['m0', 'm1', 'm2']);
    assert.equal(one.counters().refuted, before[i]?.refuted);
    const sent = one.counters().packetsSent - (before[i]?.packetsSent ?? 0);
    assert.ok(sent >= 2, `${sent} packets while its controller was busy`);
  }
});
