import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BfdReport } from '../core/announce/types';
import type { LifecycleState } from '../core/model/messages';
import type { BfdSessionView } from '../core/model/routing';
import type { PenaltyView } from '../core/model/routing-messages';
import type { NodeRoutingView, RouteProgress } from '../core/model/views';
import { exitOf } from './commands/route';
import { EXIT } from './exit-codes';
import { makeOutput } from './output';
import { describeBfd } from './routing-output';
import { penaltyLines, sessionsTable } from './show-routing';

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

test('a session is told in the same words on its host and from afar', () => {
  const session: BfdSessionView = {
    peer: '192.0.2.1',
    mode: 'seamless',
    multihop: true,
    local: null,
    state: 'up',
    remoteState: 'down',
    diagnostic: 'noDiagnostic',
    remoteDiagnostic: 'noDiagnostic',
    localDiscriminator: 1,
    remoteDiscriminator: 0,
    packets: { sent: 1, received: 1, dropped: 0 },
    sinceMs: 0,
    transmitIntervalMs: 50,
    detectTimeMs: 150,
    remoteMultiplier: 3,
    downs: 0,
    lateMaxMs: 0,
    gapMaxMs: 50,
    refused: null,
  };
  const out = makeOutput({ json: false, colour: false });
  const quiet = { problem: null };
  const report = { sessions: [session], realtime: quiet, gobgpd: quiet, expired: null };
  const here = describeBfd(report as unknown as BfdReport, out, 5_000).split('\n');
  const bfd = { problem: null, realtime: true };
  const status = { neighbors: [], bfdPeers: [session], gobgpd: quiet, bfd };
  const view = { node: 'n', connected: true, heardAtMs: 0, status, command: null };
  const afar = sessionsTable([view as unknown as NodeRoutingView], out, 5_000).split('\n');
  const words = (line = ''): string[] => line.split(/ {2,}/);
  assert.deepEqual(words(here[0]), words(afar[0]).slice(1));
  assert.deepEqual(words(here[1]), words(afar[1]).slice(1));
  assert.match(here[1] ?? '', /^192\.0\.2\.1 +seamless, multihop +up +5 s /);
});
