import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  heard,
  NO_TWINS,
  overdue,
  TWIN_WAIT_MS,
  type SessionEvent,
  type Side,
  type Twins,
} from './twins';

const down = (reason: string, cause: 'path' | 'consequence' | 'administrative'): SessionEvent => ({
  kind: 'bgpDown',
  atMs: 0,
  peer: '192.0.2.1',
  reason,
  cause,
});
const up: SessionEvent = { kind: 'bgpUp', atMs: 0, peer: '192.0.2.1' };

/** [ms, side, event], or [ms] for time alone; what is told, as `ms kind reason cause`. */
function play(...steps: (readonly [number, Side, SessionEvent] | readonly [number])[]): string[] {
  let twins: Twins = NO_TWINS;
  return steps.flatMap(([nowMs, side, event]) => {
    const passed = overdue(twins, nowMs);
    const paired =
      side === undefined || event === undefined
        ? { twins: passed.twins, events: [] }
        : heard(passed.twins, side, event, nowMs);
    twins = paired.twins;
    return [...passed.events, ...paired.events].map((told) =>
      told.kind === 'bgpDown'
        ? `${nowMs} ${told.kind} ${told.reason}, ${told.cause}`
        : `${nowMs} ${told.kind}`,
    );
  });
}

const ADMIN = down('peer says: Cease/Administrative Reset', 'administrative');

test('one event of two: the reason of who keeps gobgpd, the consequence of who resets', () => {
  const bare = down('not told', 'path');
  const both = ['5 bgpDown peer says: Cease/Administrative Reset, administrative'];
  assert.deepEqual(play([0, 'bfd', bare], [5, 'bgp', ADMIN], [9_000]), both);
  assert.deepEqual(play([0, 'bgp', ADMIN], [5, 'bfd', bare], [9_000]), both);
  const reset = down('BFD went down', 'consequence');
  assert.deepEqual(play([0, 'bfd', reset], [5, 'bgp', down('we reset it', 'administrative')]), [
    '5 bgpDown we reset it, consequence',
  ]);
});

test('what only one side tells is told by itself, and its late twin is dropped', () => {
  const bare = down('not told', 'path');
  assert.deepEqual(play([0, 'bfd', bare], [TWIN_WAIT_MS], [900, 'bgp', ADMIN], [9_000]), [
    `${TWIN_WAIT_MS} bgpDown not told, path`,
  ]);
});

test('a session that went and came back is told in that order', () => {
  const bare = down('not told', 'path');
  assert.deepEqual(play([0, 'bfd', bare], [100, 'bfd', up], [110, 'bgp', up], [9_000]), [
    '100 bgpDown not told, path',
    '110 bgpUp',
  ]);
});

test('the next fall of the same session is an event of its own', () => {
  const bare = down('not told', 'path');
  const told = play([0, 'bfd', bare], [800], [20_000, 'bfd', bare], [21_000]);
  assert.equal(told.length, 2);
});
