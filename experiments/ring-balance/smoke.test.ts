import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMet } from '../common/figures';
import { measure, SMOKE } from './measure';

test('the ring is even, and moves what must', () => {
  for (const figure of measure(SMOKE)) {
    assert.equal(figure.samples.length, SMOKE.fleets, figure.claim);
    // What time a lookup takes is for a quiet machine.
    if (figure.unit === '×') assert.ok(isMet(figure), `${figure.claim}: ${figure.samples.join()}`);
  }
});
