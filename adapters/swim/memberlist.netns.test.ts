/** The real memberlist 0.7 beside ours: each sees the other come, change, go and die, whatever lies around the packets. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../testing/until';
import type { Membership } from './membership';
import type { MembershipOptions } from './start';
import { GoMember, keyFile, listed, member, seen, writeKeys } from './testing';

interface Variant {
  name: string;
  label: string;
  key: Buffer | null;
  listen?: string;
}

const VARIANTS: readonly Variant[] = [
  { name: 'in the clear', label: '', key: null },
  { name: 'with a label', label: 'aether', key: null },
  { name: 'with AES-128-GCM', label: '', key: randomBytes(16) },
  { name: 'with a label and AES-256-GCM', label: 'aether', key: randomBytes(32) },
  { name: 'by IPv6', label: '', key: null, listen: '[::1]:0' },
];

const LOOPBACK = '127.0.0.1:0';

const ours = async (
  t: TestContext,
  { label, key, listen = LOOPBACK }: Variant,
  name: string,
  options: Partial<MembershipOptions> = {},
): Promise<Membership> => {
  const keys = key === null ? null : keyFile(t, key);
  return (await member(t, name, { label, keys, listen, ...options })).membership;
};

const theirs = (
  t: TestContext,
  { label, key, listen = LOOPBACK }: Variant,
  name: string,
  profile: 'fast' | 'lan' = 'fast',
): Promise<GoMember> =>
  GoMember.start(t, name, {
    profile,
    listen,
    label,
    key: key?.toString('base64') ?? '',
    meta: 'go meta',
  });

describe('memberlist', { concurrency: true }, () => {
  for (const variant of VARIANTS) {
    it(`and ours are one cluster ${variant.name}`, async (t) => {
      const [a, b, go, doomed] = await Promise.all([
        ours(t, variant, 'a'),
        ours(t, variant, 'b'),
        theirs(t, variant, 'go'),
        theirs(t, variant, 'doomed'),
      ]);
      // One comes to us, to the other one we go.
      assert.equal(await go.join(a.address), 1);
      assert.equal(await b.join([doomed.address, a.address]), 2);
      const all = ['a', 'b', 'doomed', 'go'];
      await until('ours list all', () => [a, b].every((one) => same(listed(one, 'alive'), all)));
      await until('theirs list all', async () => same(await go.members(), all));
      await until('theirs list all, too', async () => same(await doomed.members(), all));
      assert.equal(seen(a, 'go')?.address, go.address);
      assert.equal(seen(a, 'go')?.boot, '');

      // Through two rounds of probes nobody suspects anybody: each has answered the other.
      const probes = a.counters().packetsReceived + 40;
      await until('they have probed each other', () => a.counters().packetsReceived > probes);
      assert.deepEqual(listed(a, 'alive'), all);
      assert.equal(a.counters()['refused:malformed'] + a.counters()['refused:type'], 0);

      doomed.kill();
      await until('ours know that it is dead', () => seen(a, 'doomed')?.state === 'dead');
      await until('theirs know that it is dead', () => go.saw('leave', 'doomed'));

      await b.leave(5_000);
      await until('theirs know that ours has left', () => go.saw('leave', 'b'));

      await go.leave();
      await until('ours know that theirs has left', () => seen(a, 'go')?.state === 'left');
      assert.equal(seen(a, 'go')?.confirmations, 0);
    });
  }

  it('finds out that ours has died, and takes it back when it starts again', async (t) => {
    const [plain] = VARIANTS;
    assert.ok(plain);
    const [go, witness, a] = await Promise.all([
      theirs(t, plain, 'go'),
      theirs(t, plain, 'witness'),
      ours(t, plain, 'a', { boot: 'first' }),
    ]);
    await Promise.all([witness.join(go.address), a.join([go.address])]);
    await until('it is listed', () => go.saw('join', 'a'));
    await a.close();
    await until('it is dead', () => go.saw('leave', 'a'));
    const again = await ours(t, plain, 'a', { boot: 'second', listen: a.address });
    await again.join([go.address]);
    await until('it is back', () => go.times('join', 'a') === 2);
    await until('both are listed', () => listed(again, 'alive').length === 3);
  });

  it('and ours change their key together, a member at a time, and nobody is lost', async (t) => {
    const [old, next] = [randomBytes(16), randomBytes(32)];
    const files = [keyFile(t, old), keyFile(t, old)];
    const [a, b] = await Promise.all(
      files.map((keys, i) => member(t, `ours-${i}`, { keys, profile: 'lan' })),
    );
    assert.ok(a && b);
    const variant = { name: '', label: 'test', key: old };
    const go = await Promise.all(['go-0', 'go-1'].map((name) => theirs(t, variant, name, 'lan')));
    const [first, second] = go;
    assert.ok(first && second);
    const all = ['go-0', 'go-1', 'ours-0', 'ours-1'];
    await b.membership.join([a.membership.address]);
    for (const each of go) assert.equal(await each.join(a.membership.address), 1);
    await until('all list all', async () => {
      const lists = [listed(a.membership, 'alive'), listed(b.membership, 'alive')];
      return [...lists, await first.members(), await second.members()].every((l) => same(l, all));
    });
    const lost = new Set<string>();
    for (const { membership } of [a, b]) {
      membership.onChange(() => {
        for (const { name, state } of membership.members()) {
          if (state === 'dead' || state === 'left') lost.add(name);
        }
      });
    }

    const read = async (i: number, keys: Buffer[]): Promise<void> => {
      const { notices } = i === 0 ? a : b;
      const before = notices.filter(({ kind }) => kind === 'keys').length;
      writeKeys(files[i] ?? '', keys);
      await until('it has read them', () => {
        return notices.filter(({ kind }) => kind === 'keys').length > before;
      });
    };
    /** Each asks those of the other kind, and is answered: with the keys that either has at this moment. */
    const understood = async (step: string): Promise<void> => {
      for (const { membership } of [a, b]) {
        for (const each of go) {
          await until(step, async () => (await each.join(membership.address)) === 1);
          await until(step, async () => (await membership.join([each.address])) === 1);
        }
      }
    };
    // To be read by everybody, then to be written with, then alone: the same three steps on either side.
    for (const [verb, key, keys, count] of [
      ['add', next, [old, next], 2],
      ['use', next, [next, old], 2],
      ['remove', old, [next], 1],
    ] as const) {
      for (const i of [0, 1]) {
        await read(i, [...keys]);
        await understood(`ours-${i}: ${verb}`);
        assert.equal(await go[i]?.key(verb, key), count);
        await understood(`go-${i}: ${verb}`);
      }
    }
    const received = a.membership.counters().packetsReceived + 12;
    await until('they probe each other', () => a.membership.counters().packetsReceived > received);
    await until('all are there', () =>
      [a, b].every(({ membership }) => same(listed(membership, 'alive'), all)),
    );
    assert.deepEqual([...lost], []);
    for (const each of go) for (const name of all) assert.ok(!each.saw('leave', name), name);
    for (const { membership } of [a, b]) {
      assert.equal(membership.counters()['refused:key'], 0);
    }

    // Who has the old one alone is out.
    const late = await theirs(t, variant, 'late', 'lan');
    assert.equal(await late.join(a.membership.address), 0);
    assert.equal(await late.join(first.address), 0);
  });

  it('that compresses is not understood, and counted', async (t) => {
    const [plain] = VARIANTS;
    assert.ok(plain);
    const a = await ours(t, plain, 'a');
    const go = await GoMember.start(t, 'go', { compress: true });
    assert.equal(await go.join(a.address), 0);
    assert.equal(a.counters()['refused:compressed'], 1);
    assert.deepEqual(listed(a, 'alive'), ['a']);
  });
});

const same = (names: readonly string[], expected: readonly string[]): boolean =>
  JSON.stringify([...names].sort()) === JSON.stringify(expected);
