import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { recurring, usage, within, type Attempt } from './budget';
import { INCIDENT_ID, incidentId } from './incident';

const attempts: Attempt[] = [
  { atMs: 100, findings: ['a'] },
  { atMs: 200, findings: ['a', 'b'] },
  { atMs: 300, findings: ['b'] },
];

test('an attempt counts until the window has passed it', () => {
  assert.deepEqual(usage(attempts, 100, 300), { used: 1, freesAtMs: 400 });
  assert.deepEqual(usage(attempts, 101, 300), { used: 2, freesAtMs: 301 });
  assert.deepEqual(usage(attempts, 1_000, 300), { used: 3, freesAtMs: 1_100 });
  assert.deepEqual(usage(attempts, 100, 400), { used: 0, freesAtMs: null });
});

test('a clock that was ahead does not lock the budget once it is right', () => {
  assert.deepEqual(usage(attempts, 1_000, 150), { used: 1, freesAtMs: 1_100 });
  assert.equal(recurring(attempts, ['b'], 1_000, 150), null);
});

test('once the oldest has freed its place, there is one more', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1_000)), fc.integer({ min: 1, max: 500 }), (times, perMs) => {
      const made = times.map((atMs) => ({ atMs, findings: [] }));
      const { used, freesAtMs } = usage(made, perMs, 1_000);
      assert.equal(used, within(made, perMs, 1_000).length);
      if (freesAtMs === null) return;
      assert.ok(freesAtMs > 1_000);
      assert.ok(usage(made, perMs, freesAtMs).used < used);
    }),
  );
});

test('what came back most often is told, of what is there now', () => {
  assert.deepEqual(recurring(attempts, ['a'], 1_000, 300), { finding: 'a', times: 2 });
  assert.deepEqual(recurring(attempts, ['b', 'a'], 1_000, 300), { finding: 'b', times: 2 });
  assert.deepEqual(recurring(attempts, ['a'], 101, 300), { finding: 'a', times: 1 });
  assert.equal(recurring(attempts, ['c'], 1_000, 300), null);
  assert.equal(recurring(attempts, ['a'], 100, 300), null);
});

test('an incident id is ten random bytes in base32', () => {
  assert.equal(incidentId(new Uint8Array(10)), 'inc-aaaaaaaaaaaaaaaa');
  assert.equal(incidentId(new Uint8Array(12).fill(255)), 'inc-7777777777777777');
  assert.equal(incidentId(Buffer.from('helloworld')), 'inc-nbswy3dpo5xxe3de');
  assert.throws(() => incidentId(new Uint8Array(9)), RangeError);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 10, maxLength: 10 }), (bytes) => {
      assert.match(incidentId(bytes), INCIDENT_ID);
    }),
  );
});
