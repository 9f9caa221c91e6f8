import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FAULTS,
  FAULT_NAMES,
  type Planned,
  TTL_MS,
  clockStep,
  onceEach,
  schedule,
} from './schedule';

const shape = {
  controllers: ['ctl-1', 'ctl-2', 'ctl-3'],
  etcds: ['etcd-1', 'etcd-2', 'etcd-3'],
  edges: ['edge-1', 'edge-2'],
};
const first = (seed: number, count: number): Planned[] => {
  const all = schedule({ seed, shape, faults: FAULT_NAMES });
  return Array.from({ length: count }, () => all.next().value);
};

test('the same seed breaks the same things, another one others', () => {
  assert.deepEqual(first(7, 200), first(7, 200));
  assert.notDeepEqual(first(7, 200), first(8, 200));
});

test('in the long run everything goes wrong, to everybody, within its bounds', () => {
  const all = first(1, 3_000);
  assert.deepEqual([...new Set(all.map(({ fault }) => fault))].sort(), [...FAULT_NAMES].sort());
  assert.deepEqual(
    [...new Set(all.flatMap(({ who }) => who))].sort(),
    Object.values(shape).flat().sort(),
  );
  for (const { fault, who, holdMs } of all) {
    const [least, most] = FAULTS[fault].hold;
    assert.ok(holdMs >= least && holdMs <= most, `${fault}: ${holdMs} ms`);
    assert.equal(new Set(who).size, who.length, `${fault} hits ${who.join(', ')}`);
  }
  const pauses = all.filter(({ fault }) => fault === 'controllerPaused');
  assert.ok(pauses.some(({ holdMs }) => holdMs < TTL_MS));
  assert.ok(pauses.some(({ holdMs }) => holdMs > 2 * TTL_MS));
});

test('once each: every fault, as short as it may be', () => {
  const all = onceEach({ seed: 3, shape, faults: FAULT_NAMES });
  assert.deepEqual(
    all.map(({ fault, holdMs }) => [fault, holdMs]),
    FAULT_NAMES.map((name) => [name, FAULTS[name].hold[0]]),
  );
  const alone = onceEach({ seed: 3, shape, faults: ['quorumLost'] });
  assert.deepEqual(
    alone,
    all.filter(({ fault }) => fault === 'quorumLost'),
  );
});

test('clocks step to both sides', () => {
  const steps = first(5, 2_000).map(clockStep);
  assert.ok(Math.min(...steps) < -60_000 && Math.max(...steps) > 60_000);
  assert.ok(steps.every((ms) => Math.abs(ms) >= 500 && Math.abs(ms) <= 240_000));
});
