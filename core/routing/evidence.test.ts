import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stance } from '../model/anycast';
import type { EdgeRouting, Seen, SeenPath } from '../model/routing-messages';
import { follows, quietFor, resting, seenAs, sessionsUp, type Rest } from './evidence';

const edge = (change: Partial<EdgeRouting>, stance: Stance = 'announce'): EdgeRouting => ({
  node: 'fra-1',
  connected: true,
  atMs: 1,
  acceptedRevision: 9,
  services: [{ service: 'dns', stance, announced: stance !== 'withdraw', why: [] }],
  neighbors: [],
  ...change,
});

const wanted = (stance: Stance, way: 'atMost' | 'atLeast' = 'atMost') => ({
  node: 'fra-1',
  services: null,
  stance,
  way,
  revision: 9,
});

test('an edge follows when it stands so or worse; on its way back so or better', () => {
  // Rows: as it stands; columns: as commanded, to the worse and to the better.
  const table = `
             announce    deprefer    withdraw
    announce yes yes     no  yes     no  yes
    deprefer yes no      yes yes     no  yes
    withdraw yes no      yes no      yes no
  `;
  const [head = '', ...rows] = table.trim().split('\n');
  for (const row of rows) {
    const [stands, ...cells] = row.trim().split(/\s+/);
    for (const [n, stance] of head.trim().split(/\s+/).entries()) {
      const now = [edge({}, stands as Stance)];
      const [worse, better] = [wanted(stance as Stance), wanted(stance as Stance, 'atLeast')];
      assert.equal(follows(now, worse).reached, cells[2 * n] === 'yes', `${stands} ≥ ${stance}`);
      assert.equal(
        follows(now, better).reached,
        cells[2 * n + 1] === 'yes',
        `${stands} ≤ ${stance}`,
      );
    }
  }
});

test('what an edge said before the command, or before it was cut off, is no evidence', () => {
  const late = follows([edge({ acceptedRevision: 8 }, 'withdraw')], wanted('withdraw'));
  assert.deepEqual(late, { reached: false, evidence: 'fra-1 has accepted 8, not yet 9' });
  const gone = follows([edge({ connected: false }, 'withdraw')], wanted('withdraw'));
  assert.deepEqual(gone, { reached: false, evidence: 'fra-1 is not connected' });
  assert.equal(follows([], wanted('withdraw')).reached, false);
});

test('an edge that has not said how it stands follows nothing; one without the service does not announce it', () => {
  const mute = [edge({ atMs: null, services: [] })];
  for (const way of ['atMost', 'atLeast'] as const) {
    assert.equal(follows(mute, { ...wanted('deprefer', way), services: ['dns'] }).reached, false);
    assert.equal(follows(mute, wanted('deprefer', way)).reached, false);
  }
  const without = [edge({ services: [] })];
  const back = follows(without, { ...wanted('announce', 'atLeast'), services: ['dns'] });
  assert.deepEqual(back, { reached: false, evidence: 'fra-1 does not know dns yet' });
  const away = follows(without, { ...wanted('withdraw'), services: ['dns'] });
  assert.equal(away.reached, true, 'what it does not serve it does not announce');
});

test('announce without an established session has not been reached, and the reason is told', () => {
  const services = [
    { service: 'dns', stance: 'announce' as const, announced: false, why: ['no session'] },
  ];
  const { reached, evidence } = follows([edge({ services })], wanted('announce', 'atLeast'));
  assert.equal(reached, false);
  assert.equal(evidence, 'fra-1: dns announce: no session');
});

test('sessions are up by BGP, and by BFD where there is one', () => {
  const session = { address: '192.0.2.1', localAddress: null, held: false };
  const ask = { node: 'fra-1', neighbors: ['192.0.2.1'] };
  const up = (change: Partial<EdgeRouting['neighbors'][number]>): boolean =>
    sessionsUp([edge({ neighbors: [{ ...session, state: 'established', ...change }] })], ask)
      .reached;
  assert.equal(up({}), true);
  assert.equal(up({ bfd: 'up' }), true);
  assert.equal(up({ bfd: 'init' }), false);
  assert.equal(up({ state: 'openSent' }), false);
  assert.deepEqual(sessionsUp([edge({})], ask), {
    reached: false,
    evidence: '192.0.2.1 unknown',
  });
});

const path = (from: string, node: string | null, best = false): SeenPath => ({
  prefix: '198.51.100.1/32',
  from,
  nextHop: `hop of ${node}`,
  node,
  best,
  communities: [],
  asPathLength: 1,
});

const seen = (...paths: SeenPath[]): Seen => ({
  configured: true,
  observers: [{ name: 'obs', problem: null, paths }],
});

const as = (what: 'announced' | 'moved' | 'gone', picture: Seen): boolean =>
  seenAs(picture, { prefixes: ['198.51.100.1/32'], nodes: ['fra-1'], as: what }).reached;

test('peers have moved once no router prefers the drained node and one has another', () => {
  const other = path('r1', 'nyc-1', true);
  assert.equal(as('moved', seen(other)), true);
  assert.equal(as('moved', seen(other, path('r2', 'fra-1'))), false, 'r2 tells its only choice');
  assert.equal(as('moved', seen(other, path('r1', 'fra-1'))), true, 'r1 tells all it has');
  assert.equal(as('moved', seen(path('r1', 'nyc-1'), path('r1', 'fra-1', true))), false);
  assert.equal(as('moved', seen()), false, 'nobody serves it: that is no move');
});

test('announced: somebody has it; gone: nobody has; of a path of a stranger neither is said', () => {
  assert.equal(as('announced', seen(path('r1', 'fra-1'))), true);
  assert.equal(as('announced', seen(path('r1', null, true))), false);
  assert.equal(as('gone', seen(path('r1', 'fra-1'))), false);
  assert.equal(as('gone', seen(path('r1', null, true))), true);
  // Nobody has told by which addresses fra-1 speaks: the path may be its own.
  const unplaced = (...nodes: string[]) => ({ ...seen(path('r1', null, true)), unplaced: nodes });
  assert.equal(as('gone', unplaced('fra-1')), false);
  assert.equal(as('moved', unplaced('fra-1')), false);
  assert.equal(as('gone', unplaced('nyc-1')), true);
});

test('an observer that does not answer proves nothing; none at all is not waited for', () => {
  const dumb: Seen = {
    configured: true,
    observers: [{ name: 'obs', problem: 'no answer', paths: [] }],
  };
  const wish = { prefixes: ['198.51.100.1/32'], nodes: ['fra-1'], as: 'gone' as const };
  assert.deepEqual(seenAs(dumb, wish), { reached: false, evidence: 'obs: no answer' });
  const none = seenAs({ configured: false, observers: [] }, wish);
  assert.equal(none.reached, false);
  assert.equal(none.hopeless, true);
});

test('quiet: the same counters for long enough; one packet begins the rest anew', () => {
  let rest: Rest | null = null;
  const look = (atMs: number, count: number): boolean => {
    rest = resting(rest, { atMs, packets: { '198.51.100.1': count } });
    return quietFor(rest, 1_000).reached;
  };
  assert.deepEqual(
    [look(0, 5), look(900, 5), look(1_000, 6), look(1_900, 6), look(2_000, 6)],
    [false, false, false, false, true],
  );
});

test('what nothing counts is not quiet, and not waited for', () => {
  const rest = resting(null, { atMs: 0, packets: { '198.51.100.1': null } });
  assert.deepEqual(quietFor(rest, 0), {
    reached: false,
    hopeless: true,
    evidence: 'nothing counts 198.51.100.1',
  });
});
