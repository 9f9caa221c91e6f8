import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from './turns';

function world(atOnce: number) {
  let nowMs = 0;
  const turns = new Turns<string>({ atOnce, patienceMs: 100, now: () => nowMs });
  return { turns, pass: (ms: number) => (nowMs += ms) };
}

test('as many begin as there is room for, the others in the order in which they came', () => {
  const { turns } = world(2);
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'a'].map((one) => turns.take(one)),
    [...[true, true, false, false, true]],
  );
  assert.equal(turns.next(), null);
  turns.leave('b');
  assert.equal(turns.next(), 'c');
  assert.equal(turns.take('c'), true);
  assert.equal(turns.next(), null);
  assert.equal(turns.take('d'), false);
});

test('one that lets its turn pass leaves it to the next', () => {
  const { turns } = world(1);
  for (const one of ['a', 'b', 'c']) turns.take(one);
  turns.leave('a');
  assert.deepEqual([turns.next(), turns.next(), turns.next()], ['b', 'c', null]);
});

test('one that need not begin any more is not asked', () => {
  const { turns } = world(1);
  for (const one of ['a', 'b', 'c']) turns.take(one);
  turns.leave('b');
  turns.leave('a');
  assert.equal(turns.next(), 'c');
});

test('what is slow makes room, and nobody else does', () => {
  const { turns, pass } = world(2);
  turns.take('slow');
  pass(60);
  turns.take('b');
  turns.take('c');
  assert.equal(turns.next(), null);
  pass(40);
  assert.equal(turns.next(), 'c');
  assert.equal(turns.take('c'), true);
  turns.take('d');
  assert.equal(turns.next(), null);
});
