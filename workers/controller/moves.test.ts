import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { EdgeSession } from '../../adapters/edge-stream/server';
import { createControllerMetrics } from './metrics';
import { Moves } from './moves';

test('an edge whose stream was full hears of a new controller once there is room', () => {
  const moves = new Moves({
    place: () => ({ kind: 'here', holds: true }),
    fence: () => null,
    lost: () => false,
    owned: () => undefined,
    metrics: createControllerMetrics(),
    log: pino({ level: 'silent' }),
  });
  const edge = () => {
    const sent: string[] = [];
    const session = {
      node: 'fra-1',
      protocol: 2,
      full: false,
      send({ controllers }: { controllers: { controllers: { id: string }[] } }): boolean {
        if (!this.full) sent.push(controllers.controllers.map(({ id }) => id).join());
        return !this.full;
      },
    };
    return { sent, is: session, session: session as unknown as EdgeSession };
  };
  const at = (id: string) => ({ id, address: `${id}:7700` });
  const [one, other] = [edge(), edge()];
  moves.tell([at('c1')]);
  for (const { session } of [one, other]) moves.connected(session);
  moves.tell([at('c1')]);
  assert.deepEqual(one.sent, [], 'what its welcome said is not said again');
  one.is.full = true;
  moves.tell([at('c1'), at('c2')]);
  moves.tell([at('c1'), at('c2')]);
  assert.deepEqual([one.sent, other.sent], [[], ['c1,c2']]);
  one.is.full = false;
  moves.drained(one.session);
  moves.drained(other.session);
  assert.deepEqual([one.sent, other.sent], [['c1,c2'], ['c1,c2']]);
});

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
