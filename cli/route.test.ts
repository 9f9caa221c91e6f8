import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LifecycleState } from '../core/model/messages';
import type { PenaltyView } from '../core/model/routing-messages';
import type { RouteProgress } from '../core/model/views';
import { exitOf } from './commands/route';
import { EXIT } from './exit-codes';
import { makeOutput } from './output';
import { penaltyLines } from './show-routing';

const found = (outcome: string, over: Partial<RouteProgress> = {}): RouteProgress => ({
  workflowId: 'node/fra-1/drain',
  runId: 'r',
  status: 'COMPLETED',
  progress: null,
  result: { outcome },
  failure: null,
  ...over,
});

test('an end that is another one than was asked for is no success', () => {
  assert.equal(exitOf(found('drained'), 'drain', true), EXIT.ok);
  assert.equal(exitOf(found('undrained'), 'undrain', true), EXIT.ok);
  assert.equal(exitOf(found('undrained'), 'drain', true), EXIT.conflict, 'it joined an undrain');
  assert.equal(exitOf(found('superseded'), 'quarantine', true), EXIT.conflict);
  assert.equal(exitOf(found('superseded'), 'release', true), EXIT.ok);
  const failure = { code: 'FloorReached', message: 'at the floor' };
  assert.equal(exitOf(found('', { status: 'FAILED', failure }), 'drain', true), EXIT.conflict);
  const running = found('', { status: 'RUNNING', result: null });
  assert.equal(exitOf(running, 'drain', false), EXIT.ok);
  assert.equal(exitOf(running, 'drain', true), EXIT.timeout);
});

test('penalties are shown as they are now, not as they were when they last changed', () => {
  const at = 1_000_000;
  const penalty: PenaltyView = {
    upstream: '192.0.2.1',
    penalty: 3_000,
    atMs: at,
    halfLifeMs: 120_000,
    suppressedSinceMs: at,
    reuseAtMs: at + 240_000,
    causes: [{ atMs: at, cause: 'bfdDown', weight: 1_000 }],
  };
  const quarantine = { sinceMs: at, untilMs: at + 240_000, reason: 'it flaps' };
  const life = { penalties: [penalty], quarantine } as unknown as LifecycleState;
  const out = makeOutput({ json: false, colour: false });
  const shown = (afterMs: number): string => penaltyLines(life, out, at + afterMs).join('\n');
  assert.match(shown(0), /quarantined for .* it flaps\n.*\n192\.0\.2\.1 +3000 +for 0 s +in 4 min/);
  assert.match(shown(120_000), /192\.0\.2\.1 +1500 +for 2 min +in 2 min/);
  assert.match(shown(360_000), /^UPSTREAM.*\n192\.0\.2\.1 +375 +no +- /);
  assert.equal(shown(12 * 120_000), '', 'and then nothing is');
});
