import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRunLabs } from '../../lab/testing';
import { measure, SMOKE } from './measure';

test(
  'simulated edges are onboarded, lose their controller, drift all at once, and nothing is dropped',
  { skip: cannotRunLabs(), timeout: 240_000 },
  async () => {
    const { figures, details } = await measure(SMOKE);
    assert.ok(figures.every(({ samples }) => samples.length > 0));
    const { onboarding, losses, pushes, storms } = details;
    assert.ok(onboarding.totals.stateTransitions > SMOKE.edges);
    assert.equal(pushes.length, 2);
    const lost = losses[0]?.edges ?? 0;
    assert.ok(lost > 0 && lost < SMOKE.edges, `the controller had ${lost} edges`);
    const [storm] = storms;
    assert.ok(storm);
    assert.equal(storm.byWorkflow + storm.byAgent, SMOKE.edges);
    assert.equal(storm.notRecorded, 0);
    assert.equal(storm.repairedInMs.length, SMOKE.edges);
    assert.ok(storm.totals.stateTransitions > SMOKE.edges);
  },
);
