import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { EdgeSession } from '../../adapters/edge-stream/server';
import { createControllerMetrics } from './metrics';
import { Moves } from './moves';

test('an edge hears at once, and once, that its owner owns nothing any more', () => {
  let lost = false;
  const moves = new Moves({
    place: () => ({ kind: 'here', holds: !lost }),
    fence: () => null,
    lost: () => lost,
    owned: () => undefined,
    metrics: createControllerMetrics(),
    log: pino({ level: 'silent' }),
  });
  const beats: boolean[] = [];
  const session = {
    node: 'fra-1',
    protocol: 2,
    beat: () => beats.push(lost) > 0,
    redirect: () => true,
  } as unknown as EdgeSession;
  moves.connected(session);
  moves.look();
  assert.deepEqual(beats, []);
  lost = true;
  moves.look();
  moves.look();
  assert.deepEqual(beats, [true]);
  lost = false;
  moves.look();
  assert.deepEqual(beats, [true, false]);
});
