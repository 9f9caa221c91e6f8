import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admitted, floorHolds, type FloorPicture, parseGovernor } from './governor';

const picture = (over: Partial<FloorPicture> = {}): FloorPicture => ({
  service: 'dns',
  floor: 2,
  announcers: ['a', 'b', 'c', 'd'],
  withdrawing: new Set(),
  permitted: new Set(),
  unproven: new Set(),
  ...over,
});
const leave = (over: Partial<FloorPicture>, ...leaving: string[]) =>
  floorHolds(picture(over), new Set(leaving));

test('whoever leaves enough behind may go', () => {
  assert.deepEqual(leave({}, 'a', 'b'), { ok: true, left: ['c', 'd'] });
});

test('the floor is refused with the names of those that would be left', () => {
  assert.deepEqual(leave({}, 'a', 'b', 'c'), { ok: false, why: 'floor', left: ['d'], spare: [] });
});

test('who is commanded away already does not count, whatever is seen', () => {
  const verdict = leave({ withdrawing: new Set(['b', 'c']) }, 'a');
  assert.deepEqual(verdict, { ok: false, why: 'floor', left: ['d'], spare: [] });
});

test('who does not announce is no loss, however few are left', () => {
  assert.deepEqual(leave({ announcers: ['b'] }, 'a'), { ok: true, left: ['b'] });
  assert.deepEqual(leave({ announcers: [] }, 'a'), { ok: true, left: [] });
});

test('on who announces without a proof nobody can rest, but it is a loss as well', () => {
  const unproven = new Set(['c', 'd']);
  const verdict = leave({ unproven }, 'a');
  assert.deepEqual(verdict, { ok: false, why: 'floor', left: ['b'], spare: [] });
  assert.deepEqual(leave({ unproven }, 'd'), { ok: true, left: ['a', 'b'] });
  const last = leave({ announcers: ['d'], unproven, floor: 1 }, 'd');
  assert.deepEqual(last, { ok: false, why: 'floor', left: [], spare: [] });
});

test('permits count as used, but for the permit of whoever leaves', () => {
  const permitted = new Set(['a', 'b']);
  assert.deepEqual(leave({ permitted }, 'a'), { ok: true, left: ['b', 'c', 'd'] });
  const verdict = leave({ permitted }, 'c');
  assert.deepEqual(verdict, {
    ok: false,
    why: 'permits',
    left: ['a', 'b', 'd'],
    spare: ['a', 'b'],
  });
});

const limits = { most: 2, windowMs: 1_000 };
const withdrawal = { what: 'x', by: 'y' };

test('so many withdrawals within the window, then one as each gets old', () => {
  let governor = { withdrawals: [] as { atMs: number; what: string; by: string }[] };
  const withdraw = (atMs: number) => {
    const verdict = admitted(governor, withdrawal, atMs, limits);
    if (verdict.ok) governor = verdict.next;
    return verdict.ok ? 'done' : verdict.freesAtMs;
  };
  assert.deepEqual([0, 300, 900, 999, 1_000, 1_100, 1_300].map(withdraw), [
    'done',
    'done',
    1_000,
    1_000,
    'done',
    1_300,
    'done',
  ]);
  assert.equal(governor.withdrawals.length, 2);
});

test('what takes nobody away is always admitted, and a clock that was set back locks nobody out', () => {
  const full = { withdrawals: [0, 1].map((atMs) => ({ atMs: atMs + 9_000_000, ...withdrawal })) };
  assert.equal(admitted(full, null, 9_000_002, limits).ok, true);
  assert.equal(admitted(full, withdrawal, 9_000_002, limits).ok, false);
  assert.equal(admitted(full, withdrawal, 5, limits).ok, true);
});

test('the value is read as it was written, and nothing else is', () => {
  const value = { withdrawals: [{ atMs: 1, what: 'fra-1: withdraw', by: 'node/fra-1/drain' }] };
  assert.deepEqual(parseGovernor(JSON.stringify(value)), { ok: true, value });
  assert.deepEqual(parseGovernor(''), { ok: true, value: { withdrawals: [] } });
  for (const bad of ['x', '[]', '{"withdrawals":[{}]}']) assert.equal(parseGovernor(bad).ok, false);
});
