import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToldFacts } from '../../core/model/edge-facts';
import type { RoutingStatus } from '../../core/model/routing';
import type { EdgeFacts, Edges } from './edges';
import { Fleet, toldFacts } from './fleet';
import type { HeardFacts, Peers } from './peers';

const said = (announced: boolean): RoutingStatus =>
  ({ neighbors: [], services: [{ service: 'dns', announced }] }) as unknown as RoutingStatus;

/** An edge that c1 may have, and what c2 told of it; all by c1's monotonic clock. */
function world() {
  const state = { here: null as EdgeFacts | null, heard: [] as HeardFacts[], owner: 'c1' };
  const fleet = new Fleet({
    self: 'c1',
    edges: () => ({ get: () => state.here }) as unknown as Edges,
    peers: { of: () => state.heard } as unknown as Peers,
    ownerOf: () => state.owner,
  });
  const here = (connectedAtMs: number, routing: EdgeFacts['routing'] = null): EdgeFacts => {
    const session = {} as NonNullable<EdgeFacts['session']>;
    return {
      session,
      stream: 'here',
      connectedAtMs,
      lastSeenMs: connectedAtMs,
      routing,
    } as EdgeFacts;
  };
  const told = (toldAtMs: number, over: Partial<ToldFacts>): HeardFacts => ({
    controller: 'c2',
    told: { ...toldFacts(here(0), 0), stream: 'there', ...over },
    toldAtMs,
    unheardSinceMs: null,
  });
  const announces = (nowMs: number) =>
    fleet.get('fra-1', nowMs)?.routing?.status.services[0]?.announced;
  return { state, fleet, here, told, announces };
}

test('of what an edge said to two controllers the newest counts, by no clock that steps', (t) => {
  const { state, here, told, announces } = world();
  // An hour is taken back between the two.
  t.mock.method(Date, 'now', () => 0);
  const dead = told(1_000, { routing: { status: said(true), heardAgoMs: 100 } });
  state.heard = [{ ...dead, unheardSinceMs: 2_000 }];
  state.here = here(5_000);
  assert.equal(announces(5_500), true, 'it has said nothing here yet');
  state.here = here(5_000, { status: said(false), heardAtMs: 5_600 });
  assert.equal(announces(5_700), false);
  state.here.session = null;
  assert.equal(announces(9_000), false);
});

test('what it said on its owner’s stream is its last word, also beside a host that was suspended', () => {
  const { state, here, told, announces } = world();
  state.here = here(5_000, { status: said(false), heardAtMs: 5_600 });
  // That one woke, and takes for a moment what was an hour.
  state.heard = [told(9_000, { routing: { status: said(true), heardAgoMs: 10 } })];
  assert.equal(announces(9_100), false);
  state.owner = 'c2';
  assert.equal(announces(9_100), true);
});

test('a view tells ages: how long ago it was seen, and for how long nobody is heard who would know more', () => {
  const { state, fleet, told } = world();
  state.heard = [{ ...told(1_000, { connectedAgoMs: 300 }), unheardSinceMs: 2_000 }];
  const view = fleet.get('fra-1', 2_500);
  assert.deepEqual(
    [view?.connected, view?.connectedAgoMs, view?.unheardForMs, view?.seenAgoMs],
    [false, 1_800, 500, 500],
  );
  state.heard = [told(1_000, { connected: false, seenAgoMs: 40 })];
  assert.equal(fleet.get('fra-1', 2_500)?.seenAgoMs, 1_540);
});
