import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { RoutingEvent } from '../../core/model/routing';
import { until } from '../../workflows/testing/until';
import { Handoff } from './handoff';
import { RoutingEvents } from './routing-events';

const event = (sequence: number): RoutingEvent => ({
  sequence,
  atMs: sequence,
  kind: 'bfdUp',
  peer: '192.0.2.1',
});
const events = (...sequences: number[]): RoutingEvent[] => sequences.map(event);

/** A Temporal that is up or down, and what an edge heard. */
function world(t: TestContext) {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const state = { up: true, signals: [] as number[][], acknowledged: [] as number[], retries: 0 };
  const handoff = new Handoff({
    ready: async () => undefined,
    signal: stop.signal,
    onRetry: () => state.retries++,
    onDone: () => undefined,
  });
  const routing = new RoutingEvents({
    handoff,
    signal: async (_node, given) => {
      if (!state.up) throw new Error('down');
      state.signals.push(given.map(({ sequence }) => sequence));
    },
  });
  const submit = (...sequences: number[]): void =>
    routing.submit('fra-1', events(...sequences), (last) => state.acknowledged.push(last));
  return { state, submit, handoff };
}

test('events are acknowledged when Temporal has them, not before', async (t) => {
  const { state, submit, handoff } = world(t);
  state.up = false;
  submit(1, 2);
  await until('it was tried', () => state.retries > 1);
  assert.deepEqual(state.acknowledged, []);
  state.up = true;
  await until('acknowledged', () => state.acknowledged.length === 1);
  assert.deepEqual([state.signals, state.acknowledged], [[[1, 2]], [2]]);
  await until('nothing waits', () => handoff.waiting === 0);
});

test('what an edge says again, or piece by piece, while Temporal is away is handed on once', async (t) => {
  const { state, submit } = world(t);
  state.up = false;
  submit(1);
  submit(1, 2);
  submit(3);
  await until('it was tried', () => state.retries > 1);
  state.up = true;
  await until('all are acknowledged', () => state.acknowledged.at(-1) === 3);
  assert.deepEqual(state.signals.flat(), [1, 2, 3]);
});

test('a flood is handed on in pieces, in order', async (t) => {
  const { state, submit } = world(t);
  const all = Array.from({ length: 250 }, (_, i) => i + 1);
  submit(...all);
  await until('all are acknowledged', () => state.acknowledged.at(-1) === 250);
  assert.deepEqual(state.signals.flat(), all);
  assert.deepEqual(state.acknowledged, [100, 200, 250]);
});
