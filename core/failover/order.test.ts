import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EvidenceOrder } from '../model/routing-messages';
import { isOlder, isSame } from './order';

const older = (
  told: readonly [number, number, number],
  known: readonly [number, number, number],
): boolean => {
  const of = ([incarnation, owner, sequence]: typeof told): { order: EvidenceOrder } => ({
    order: { incarnation, owner, sequence },
  });
  return isOlder(of(told), of(known));
};

test('what one owner says is ordered by its count, what two say by their tokens', () => {
  assert.equal(older([1, 70, 1], [1, 70, 2]), true);
  assert.equal(older([1, 70, 2], [1, 70, 1]), false);
  // The next owner begins to count anew.
  assert.equal(older([1, 90, 1], [1, 70, 8]), false);
  assert.equal(older([1, 70, 9], [1, 90, 1]), true);
  // After a restore of the cluster revisions may begin again.
  assert.equal(older([2, 3, 1], [1, 90, 1]), false);
  assert.equal(older([1, 90, 2], [2, 3, 1]), true);
});

test('the same, or what bears no order, came late to nobody', () => {
  assert.equal(older([1, 70, 1], [1, 70, 1]), false);
  const order = { incarnation: 1, owner: 70, sequence: 1 };
  assert.equal(isSame({ order }, { order: { ...order } }), true);
  assert.equal(isSame({ order }, { order: { ...order, sequence: 2 } }), false);
  assert.equal(isSame({}, {}), false);
  assert.equal(isOlder({}, { order }), false);
  assert.equal(isOlder({ order }, {}), false);
});
