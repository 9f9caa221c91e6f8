import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SMOKE, cannotRun, measure } from './measure';

/** A loaded machine may take its time to notice; but nobody loses as much as without BFD. */
const HOLD_TIME_MS = 9_000;

test(
  'a cut is measured in packets, beside BIRD',
  { skip: cannotRun(), timeout: 120_000 },
  async () => {
    const { figures } = await measure(SMOKE);
    for (const { claim, samples, peer } of figures) {
      assert.equal(samples.length, 1, claim);
      for (const sample of [...samples, ...(peer?.samples ?? [])]) {
        assert.ok(sample >= 0 && sample < HOLD_TIME_MS, `${claim}: ${sample}`);
      }
    }
    const claims = figures.map(({ claim }) => claim);
    for (const what of [
      /cut silently, BFD 100 ms/,
      /10 ms × 3/,
      /is restarted/,
      /resets the session/,
    ]) {
      assert.ok(
        claims.some((claim) => what.test(claim)),
        String(what),
      );
    }
  },
);
