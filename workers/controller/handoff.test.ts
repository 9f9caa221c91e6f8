import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { until } from '../../workflows/testing/until';
import { Handoff } from './handoff';

/** A Temporal that is up or down, and remembers what it took; `far`: no way to it is known before `arrive`. */
function world(t: TestContext, far = false) {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const state = { up: true, taken: [] as string[], done: [] as string[], retries: 0 };
  let arrive = (): void => undefined;
  const way = new Promise<void>((resolve) => (arrive = resolve));
  if (!far) arrive();
  const handoff = new Handoff({
    signal: stop.signal,
    ready: () => way,
    onRetry: () => state.retries++,
    onDone: () => undefined,
  });
  const submit = (key: string, id: string) =>
    handoff.submit(key, {
      id,
      send: async () => {
        if (!state.up) throw new Error('down');
        state.taken.push(id);
      },
      done: () => state.done.push(id),
    });
  return { state, submit, handoff, arrive };
}

test('what is submitted is taken, and its sender told', async (t) => {
  const { state, submit, handoff } = world(t);
  submit('a', '1');
  submit('b', '2');
  await until('both are done', () => state.done.length === 2);
  assert.deepEqual(state.taken, ['1', '2']);
  assert.equal(handoff.waiting, 0);
});

test('an outage loses nothing, and only the newest of a key is kept', async (t) => {
  const { state, submit, handoff } = world(t);
  state.up = false;
  for (const id of ['1', '2', '3']) submit('a', id);
  submit('b', '4');
  await until('it was tried', () => state.retries > 2);
  assert.equal(handoff.waiting, 2);
  state.up = true;
  await until('both are done', () => state.done.length === 2);
  assert.deepEqual(state.taken.sort(), ['3', '4']);
});

test('the same thing said again while it is under way is said once', async (t) => {
  const { state, submit } = world(t);
  state.up = false;
  submit('a', '1');
  submit('a', '1');
  state.up = true;
  await until('it is done', () => state.done.length === 1);
  submit('a', '1');
  await until('said again later, it is news', () => state.done.length === 2);
  assert.deepEqual(state.taken, ['1', '1']);
});

test('what is cancelled is not said any more', async (t) => {
  const { state, submit, handoff } = world(t);
  state.up = false;
  submit('a', '1');
  await until('it was tried', () => state.retries > 0);
  handoff.cancel('a');
  state.up = true;
  submit('b', '2');
  await until('the other one is done', () => state.done.includes('2'));
  assert.deepEqual(state.taken, ['2']);
});

test('what waits for the first way to Temporal is still the newest, or cancelled', async (t) => {
  const { state, submit, handoff, arrive } = world(t, true);
  submit('a', '1');
  submit('b', '2');
  submit('b', '3');
  submit('c', '4');
  await new Promise((resolve) => setImmediate(resolve));
  handoff.cancel('a');
  submit('c', '5');
  arrive();
  await until('both are done', () => state.done.length === 2);
  assert.deepEqual(state.taken, ['3', '5']);
  assert.equal(handoff.waiting, 0);
});

test('what is cancelled under way and said again waits for its turn', async (t) => {
  const { state, submit, handoff } = world(t);
  let arrive = (): void => undefined;
  const first = new Promise<void>((resolve) => (arrive = resolve));
  handoff.submit('a', { id: '1', send: () => first, done: () => state.done.push('1') });
  await new Promise((resolve) => setImmediate(resolve));
  handoff.cancel('a');
  submit('a', '2');
  submit('b', '3');
  await until('the other one is done', () => state.done.includes('3'));
  assert.deepEqual(state.taken, ['3'], 'one thing a key is under way');
  arrive();
  await until('its turn has come', () => state.done.includes('2'));
  assert.deepEqual(state.taken, ['3', '2']);
});

test('a storm is said a few at a time, in its order, and all of it', async (t) => {
  const { handoff } = world(t);
  const [taken, ends] = [[] as number[], [] as (() => void)[]];
  for (let i = 0; i < 100; i += 1) {
    handoff.submit(`key ${i}`, {
      id: '',
      send: () => {
        taken.push(i);
        return new Promise((resolve) => ends.push(resolve));
      },
      done: () => undefined,
    });
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(taken.length, 32);
  // Nobody says any more what was cancelled while it waited, and its place is another one's.
  handoff.cancel('key 40');
  while (ends.length > 0) {
    for (const end of ends.splice(0)) end();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(ends.length <= 32, `${ends.length} at once`);
  }
  assert.equal(handoff.waiting, 0);
  assert.deepEqual(
    taken,
    Array.from({ length: 100 }, (_, i) => i).filter((i) => i !== 40),
  );
});
