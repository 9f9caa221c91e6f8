import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutTemporal } from '../../workflows/testing/dev-server';
import { measure } from './measure';

test(
  'a workflow goes on whose controller was killed inside a workflow task',
  { skip: withoutTemporal, timeout: 60_000 },
  async () => {
    const [figure] = await measure(true);
    assert.equal(figure?.samples.length, 2);
    // What the figure asks of a quiet machine, and time for one that is not.
    assert.ok(
      figure.samples.every((ms) => ms > 1 && ms < 6_000),
      `ms: ${figure.samples.join()}`,
    );
  },
);
