import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from './wait';

const from = (values: readonly (number | null | Error)[]): (() => number | null) => {
  let i = 0;
  return () => {
    const value = values[Math.min(i, values.length - 1)] ?? null;
    i += 1;
    if (value instanceof Error) throw value;
    return value;
  };
};

const quick = { within: 2_000, every: 1 };

test('resolves with the first value that is one; zero is one', async () => {
  assert.equal(await eventually('a number', from([null, new Error('not yet'), 0]), quick), 0);
});

test('with `times` the looks in a row must agree; a failure between them counts anew', async () => {
  const look = from([1, null, 2, new Error('again'), 3, 4, 5]);
  assert.equal(await eventually('three in a row', look, { ...quick, times: 3 }), 5);
});

test('too late it says what was waited for, and the last reason', async () => {
  const never = eventually('the moon', from([new Error('it is cheese')]), { within: 20, every: 1 });
  await assert.rejects(never, /^Error: Not within 0\.02 s: the moon \(it is cheese\)$/);
});
