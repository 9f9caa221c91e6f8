import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figuresOf } from './figures';
import { cannotRun, measureAll, SMOKE } from './measure';

test(
  'all designs find the same addresses, and each is measured',
  { skip: cannotRun() },
  async () => {
    const rows = await measureAll(SMOKE);
    assert.equal(rows.length, 9);
    for (const { design, ns } of rows) {
      for (const taken of Object.values(ns)) {
        assert.equal(taken.length, SMOKE.rounds, design);
        assert.ok(
          taken.every((one) => one > -1000 && one < 100_000),
          `${design}: ${taken.join()}`,
        );
      }
    }
    for (const { claim, samples, peer } of figuresOf(rows))
      assert.ok(samples.length > 0 && peer && peer.samples.length > 0, claim);
  },
);
