import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { PathConfig } from '../bgp/types';
import { GRACEFUL_SHUTDOWN, STANCES } from '../model/anycast';
import {
  edits,
  orphanTargets,
  expired,
  expiresMs,
  type LeaseState,
  NO_LEASE,
  renew,
  stanceOf,
  targets,
} from './paths';
import type { Lease, LeasedPath } from './types';

const path = (prefix: string, more: Partial<LeasedPath> = {}): LeasedPath => ({
  prefix,
  service: 'dns',
  stance: 'announce',
  communities: [65_000 * 0x10000 + 100],
  prepend: 1,
  onExpiry: 'withdraw',
  ...more,
});

const lease = (...paths: LeasedPath[]): Lease => ({
  asn: 65001,
  graceMs: 30_000,
  paths,
  sessions: [],
});
const at = (leased: Lease, renewedMs = 0): LeaseState => ({ lease: leased, renewedMs });

/** Applies edits as gobgpd does. */
function apply(held: readonly PathConfig[], edited: ReturnType<typeof edits>): PathConfig[] {
  const table = new Map(held.map((one) => [one.prefix, one]));
  for (const edit of edited) {
    if (edit.kind === 'add') table.set(edit.path.prefix, edit.path);
    else table.delete(edit.prefix);
  }
  return [...table.values()];
}

describe('the lease', () => {
  it('holds for its grace time after the last renewal', () => {
    const renewed = renew(renew(NO_LEASE, lease(), 1_000), null, 5_000);
    assert.equal(expiresMs(renewed), 35_000);
    assert.equal(expired(renewed, 34_999), false);
    assert.equal(expired(renewed, 35_000), true);
  });

  it('that was never given is renewed by nobody, and touches nothing', () => {
    assert.equal(renew(NO_LEASE, null, 5), NO_LEASE);
    assert.equal(targets(NO_LEASE, 1e9), null);
    assert.equal(expiresMs(NO_LEASE), Infinity);
  });
});

describe('a path', () => {
  it('carries what its stance adds', () => {
    const [announced] = targets(at(lease(path('203.0.113.10/32'))), 0) ?? [];
    assert.deepEqual(announced?.path?.asPath, [65001]);
    const [less] = targets(at(lease(path('203.0.113.10/32', { stance: 'deprefer' }))), 0) ?? [];
    assert.deepEqual(less?.path?.asPath, [65001, 65001, 65001, 65001]);
    assert.deepEqual(less.path.communities, [65_000 * 0x10000 + 100, GRACEFUL_SHUTDOWN]);
    const [gone] = targets(at(lease(path('203.0.113.10/32', { stance: 'withdraw' }))), 0) ?? [];
    assert.equal(gone?.path, null);
  });

  it('only ever gets worse by expiry', () => {
    for (const stance of STANCES) {
      for (const onExpiry of ['deprefer', 'withdraw'] as const) {
        const state = at(lease(path('203.0.113.10/32', { stance, onExpiry })));
        const [after] = targets(state, 30_000) ?? [];
        const wanted = stance === 'withdraw' ? 'withdraw' : onExpiry;
        assert.equal(after?.stance, wanted, `${stance} ${onExpiry}`);
        assert.equal(targets(state, 29_999)?.[0]?.stance, stance);
      }
    }
  });

  it('of two services is as the worse of them says', () => {
    const [good, bad] = [path('203.0.113.10/32'), path('203.0.113.10/32', { stance: 'deprefer' })];
    for (const both of [lease(good, bad), lease(bad, good)]) {
      assert.deepEqual(
        targets(at(both), 0)?.map(({ stance }) => stance),
        ['deprefer'],
      );
    }
  });
});

describe('edits', () => {
  const prefix = fc.constantFrom('203.0.113.1/32', '203.0.113.2/32', '2001:db8::1/128');
  const leased = fc
    .array(
      fc.record({
        prefix,
        stance: fc.constantFrom(...STANCES),
        prepend: fc.nat(2),
        communities: fc.uniqueArray(fc.nat(3)),
        onExpiry: fc.constantFrom('deprefer' as const, 'withdraw' as const),
      }),
      { maxLength: 4 },
    )
    .map((paths) => lease(...paths.map((one) => path(one.prefix, one))));

  it('lead from any table to just what is leased, and then there is nothing to do', () => {
    fc.assert(
      fc.property(leased, leased, fc.boolean(), (before, after, over) => {
        const held = apply([], edits(targets(at(before), 0) ?? [], []));
        const nowMs = over ? 30_000 : 0;
        const wanted = targets(at(after), nowMs) ?? [];
        const table = apply(held, edits(wanted, held));
        assert.deepEqual(edits(wanted, table), []);
        const stances = new Map(table.map((one) => [one.prefix, stanceOf(one)]));
        for (const target of wanted) {
          assert.equal(stances.get(target.prefix) ?? 'withdraw', target.stance);
          stances.delete(target.prefix);
        }
        assert.equal(stances.size, 0, 'what nobody leased is gone');
      }),
    );
  });

  it('do not touch a path whose communities only come in another order', () => {
    const wanted = targets(at(lease(path('203.0.113.10/32', { communities: [1, 2] }))), 0) ?? [];
    const held = [{ prefix: '203.0.113.10/32', communities: [2, 1, 1], asPath: [65001] }];
    assert.deepEqual(edits(wanted, held), []);
  });
});

it('paths that nobody vouches for become the last choice, once, and keep what else they say', () => {
  const [host, other] = ['203.0.113.10/32', '2001:db8:a::10/128'];
  const held: PathConfig[] = [
    { prefix: host, communities: [1], asPath: [65001] },
    { prefix: other, communities: [GRACEFUL_SHUTDOWN], asPath: [] },
  ];
  const wanted = orphanTargets(held, 65001);
  const [edit, ...others] = edits(wanted, held);
  assert.deepEqual(others, []);
  assert.deepEqual(edit, {
    kind: 'add',
    path: { prefix: host, communities: [1, GRACEFUL_SHUTDOWN], asPath: Array(4).fill(65001) },
  });
  const after = wanted.flatMap(({ path: one }) => (one === null ? [] : [one]));
  assert.deepEqual(edits(orphanTargets(after, 65001), after), []);
});
