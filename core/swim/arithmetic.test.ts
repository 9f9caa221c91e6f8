import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  confirmationsWanted,
  pushPullMs,
  retransmitLimit,
  shuffled,
  suspicionEndsMs,
  suspicionMinMs,
  suspicionMs,
} from './arithmetic';
import { FAST, LAN, PROFILES } from './profiles';
import { randomOf } from './testing';
import type { StreamFinding, Suspicion } from './types';

/** util_test.go, TestRetransmitLimit, and what lies around the powers of ten. */
const LIMITS = [
  [3, 0, 0],
  [3, 1, 3],
  [3, 99, 6],
  [4, 5, 4],
  [4, 9, 4],
  [4, 10, 8],
  [4, 100, 12],
] as const;

for (const [multiplier, members, limit] of LIMITS) {
  test(`among ${members} news is told ${limit} times at × ${multiplier}`, () => {
    assert.equal(retransmitLimit(multiplier, members), limit);
  });
}

test('no profile tells news so rarely that a member may miss it', () => {
  for (const [name, { retransmit, gossipTo }] of Object.entries(PROFILES)) {
    // memberlist's local profile has 2: in a trial one of five missed a death for 19 s.
    assert.ok(retransmit >= 4 && gossipTo >= 3, name);
  }
});

/** util_test.go, TestSuspicionTimeout: 3 × 1 s. */
const SHORTEST = [
  [1, 3_000],
  [5, 3_000],
  [10, 3_000],
  [50, 5_094],
  [100, 6_000],
  [500, 8_094],
  [1_000, 9_000],
] as const;

for (const [members, ms] of SHORTEST) {
  test(`among ${members} a suspicion lasts ${ms} ms at least`, () => {
    assert.equal(suspicionMinMs(3, members, 1_000), ms);
  });
}

/** suspicion_test.go, TestSuspicion_remainingSuspicionTime: of 2 s to 30 s, whole seconds there. */
const CONFIRMED = [
  [0, 3, 30_000],
  [1, 3, 16_000],
  [2, 3, 7_810],
  [3, 3, 2_000],
  [4, 3, 2_000],
  [0, 0, 2_000],
] as const;

for (const [confirmed, wanted, ms] of CONFIRMED) {
  test(`${confirmed} confirmations of ${wanted}: ${ms} ms`, () => {
    assert.equal(suspicionMs(confirmed, wanted, 2_000, 30_000), ms);
  });
}

test('confirmations are waited for where there are enough others', () => {
  assert.deepEqual(
    [2, 3, 4, 5].map((n) => confirmationsWanted(LAN, n)),
    [0, 0, 2, 2],
  );
  assert.deepEqual(
    [2, 3, 4, 5].map((n) => confirmationsWanted(FAST, n)),
    [0, 1, 1, 1],
  );
});

const suspicion = (fields: Partial<Suspicion>): Suspicion => ({
  startMs: 0,
  wanted: 1,
  members: 5,
  accusers: ['a', 'b'],
  looked: null,
  ...fields,
});

test('what TCP finds decides how long a silent member is suspected', () => {
  const endsMs = (found: StreamFinding | null): number =>
    suspicionEndsMs(FAST, suspicion({ looked: { found } }));
  assert.equal(endsMs('refused'), 500);
  assert.equal(endsMs(null), 1_000);
  assert.equal(endsMs('hanging'), 2_000);
  // Not seen by ourselves yet, and not confirmed.
  assert.equal(suspicionEndsMs(FAST, suspicion({})), 1_000);
  assert.equal(suspicionEndsMs(FAST, suspicion({ accusers: ['a'] })), 6_000);
  assert.equal(suspicionEndsMs(FAST, suspicion({ accusers: [] })), 6_000);
  // memberlist's, but for who is gone for sure.
  const accusers = ['a', 'b', 'c'];
  const lanMs = (found: StreamFinding | null): number =>
    suspicionEndsMs(LAN, suspicion({ wanted: 2, accusers, looked: { found } }));
  assert.deepEqual([lanMs('refused'), lanMs(null), lanMs('hanging')], [3_000, 4_000, 4_000]);
});

test('a machine may stand still for a second in the fast profile', () => {
  // The probe that is under way as it stops fails after an interval; nothing answers while it stands still.
  assert.ok(FAST.probeMs + suspicionEndsMs(FAST, suspicion({ looked: { found: null } })) > 1_000);
});

/** util_test.go, TestPushPullScale. */
test('lists are exchanged more rarely in large clusters', () => {
  for (let members = 0; members <= 32; members += 1)
    assert.equal(pushPullMs(1_000, members), 1_000);
  for (let members = 33; members <= 64; members += 1) {
    assert.equal(pushPullMs(1_000, members), 2_000);
  }
  for (let members = 65; members <= 128; members += 1) {
    assert.equal(pushPullMs(1_000, members), 3_000);
  }
});

test('every order is equally likely', () => {
  const random = randomOf(7);
  const counts = new Map<string, number>();
  for (let i = 0; i < 6_000; i += 1) {
    const order = shuffled(['a', 'b', 'c'], random).join('');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 6);
  for (const [order, count] of counts) assert.ok(Math.abs(count - 1_000) < 150, order);
});
