/**
 * What is due in the cluster, as one controller sees it (docs/notes/cluster.md, "The map"). Every controller runs
 * the same planner over nearly the same facts; whoever acts first wins the compare-and-set, and the others
 * then find nothing due. Facts and `now` in; what to do, and when to look again, out.
 */
import { assign, type RingMember } from './assign';
import { heirs, sameMap } from './map';
import type { ControllerId, Hint, Registration, RingMap } from './types';

/** Of a registration, what decides about it. */
export type Candidate = Pick<Registration, 'id' | 'boot' | 'weight' | 'draining'>;

export interface Facts {
  self: ControllerId;
  /** What etcd said last is fresh: without a quorum nothing moves. */
  fresh: boolean;
  map: RingMap | null;
  /** Who holds a lease. */
  registrations: readonly Candidate[];
  /** By SWIM; whoever it does not know is not in there. */
  hints: ReadonlyMap<ControllerId, Hint>;
  /** Keepalives that were missed, of leases that were asked for (`ask`); another boot's are none of this one's. */
  leases: ReadonlyMap<ControllerId, { boot: string; missed: number; askedAtMs: number }>;
  /** SHARD_COUNT of them. */
  shardWeights: readonly number[];
}

export type Due =
  /** The next map: to be written if the present one still stands. */
  | { act: 'propose'; map: RingMap; why: 'first' | 'gone' | 'joined' | 'draining' | 'weights' }
  /** Ask etcd how many keepalives this one has missed. */
  | { act: 'ask'; controller: ControllerId; boot: string }
  | { act: 'revoke'; controller: ControllerId; boot: string }
  /** SWIM calls it dead, its lease lives: gossip is in trouble, or it will be over soon. */
  | { act: 'alarm'; controller: ControllerId };

export interface Plan {
  due: readonly Due[];
  /** Who would own the shards of those that are in doubt: edges are sent to them. */
  heirs: ReadonlyMap<number, ControllerId>;
  /** Look again then, if nothing happens before; null: only then. */
  nextMs: number | null;
}

/** Controllers that start together are to make one map together. */
export const JOIN_SETTLES_MS = 500;
/** So much later for each live controller with a lower id. */
export const TURN_MS = 200;
/** A map that is only out of balance is made again this long after it has become so. */
export const REBALANCE_AFTER_MS = 30_000;
/** Between two questions about one lease. */
export const ASK_EVERY_MS = 200;
/** What etcd said of a lease is old news then: its holder may have been heard since. */
export const ANSWER_COUNTS_MS = 1_000;
/** Dead by SWIM for so long, with a lease that is kept: not a death that etcd is about to notice. */
export const ALARM_AFTER_MS = 2_000;
/** Others that find it dead, ourselves included, before anything is done about its lease. */
const CONFIRMATIONS = 2;
const MISSED = 1;

type Why = Extract<Due, { act: 'propose' }>['why'];

export class Planner {
  /** Since when a map is due, and for which reason. */
  #due: { why: Why; sinceMs: number } | null = null;
  readonly #deadSinceMs = new Map<ControllerId, number>();

  look(facts: Facts, nowMs: number): Plan {
    if (!facts.fresh) {
      this.#due = null;
      return { due: [], heirs: new Map(), nextMs: null };
    }
    const due: Due[] = [];
    const deadlines: number[] = [];
    this.#leases(facts, nowMs, due, deadlines);
    this.#map(facts, nowMs, due, deadlines);
    const nextMs = deadlines.length === 0 ? null : Math.min(...deadlines);
    return { due, heirs: heirsOfDoubtful(facts), nextMs };
  }

  /** Those that SWIM calls dead and etcd does not. */
  #leases(facts: Facts, nowMs: number, due: Due[], deadlines: number[]): void {
    const dead = facts.registrations.filter(
      ({ id }) => id !== facts.self && facts.hints.get(id)?.state === 'dead',
    );
    for (const id of this.#deadSinceMs.keys()) {
      if (!dead.some((each) => each.id === id)) this.#deadSinceMs.delete(id);
    }
    for (const { id, boot } of dead) {
      const sinceMs = this.#deadSinceMs.get(id) ?? nowMs;
      this.#deadSinceMs.set(id, sinceMs);
      if (nowMs - sinceMs >= ALARM_AFTER_MS) due.push({ act: 'alarm', controller: id });
      else deadlines.push(sinceMs + ALARM_AFTER_MS);
      if ((facts.hints.get(id)?.confirmations ?? 0) < CONFIRMATIONS) continue;
      const lease = facts.leases.get(id);
      const known = lease?.boot === boot ? lease : null;
      const counts = known !== null && nowMs < known.askedAtMs + ANSWER_COUNTS_MS;
      if (counts && known.missed >= MISSED) {
        due.push({ act: 'revoke', controller: id, boot });
        deadlines.push(nowMs + ASK_EVERY_MS);
      } else if (known !== null && nowMs < known.askedAtMs + ASK_EVERY_MS) {
        deadlines.push(known.askedAtMs + ASK_EVERY_MS);
      } else {
        due.push({ act: 'ask', controller: id, boot });
        deadlines.push(nowMs + ASK_EVERY_MS);
      }
    }
  }

  #map(facts: Facts, nowMs: number, due: Due[], deadlines: number[]): void {
    const next = assign(facts.map, owning(facts.registrations), facts.shardWeights);
    // With nobody to own anything the last map stands: whoever comes back finds its shards.
    if (next === null || sameMap(next, facts.map)) {
      this.#due = null;
      return;
    }
    const why = whyOf(facts, next);
    if (this.#due?.why !== why) this.#due = { why, sinceMs: nowMs };
    const atMs = this.#due.sinceMs + patienceMs(why) + rankOf(facts) * TURN_MS;
    if (nowMs < atMs) {
      deadlines.push(atMs);
      return;
    }
    due.push({ act: 'propose', map: next, why });
    // Should it come to nothing, it is tried again.
    this.#due = { why, sinceMs: nowMs };
    deadlines.push(nowMs + patienceMs(why) + (rankOf(facts) + 1) * TURN_MS);
  }
}

/** Who is to own shards: those that drain only where nobody else is left, for the shards shall not be nobody's. */
export function owning(registrations: readonly Candidate[]): RingMember[] {
  const staying = registrations.filter(({ draining }) => !draining);
  const owners = staying.length > 0 ? staying : registrations;
  return owners.map(({ id, weight }) => ({ id, weight }));
}

/** Before a map is proposed: for others that come as well, or for numbers that swing. */
const patienceMs = (why: Why): number =>
  ({ first: 0, gone: 0, draining: 0, joined: JOIN_SETTLES_MS, weights: REBALANCE_AFTER_MS })[why];

function whyOf({ map, registrations }: Facts, next: RingMap): Why {
  if (map === null) return 'first';
  const staying = new Map(registrations.map((each) => [each.id, each]));
  const left = map.members.filter(({ id }) => !staying.has(id));
  if (left.length > 0) return 'gone';
  if (map.members.some(({ id }) => staying.get(id)?.draining)) return 'draining';
  const known = new Map(map.members.map(({ id, weight }) => [id, weight]));
  const changed = next.members.some(({ id, weight }) => known.get(id) !== weight);
  return changed ? 'joined' : 'weights';
}

/** How many live controllers are to propose before this one. */
function rankOf({ self, registrations, hints }: Facts): number {
  const alive = registrations.filter(({ id }) => {
    const state = hints.get(id)?.state ?? 'alive';
    return id < self && state === 'alive';
  });
  return alive.length;
}

/** Of the owners that are suspect or dead by SWIM, or that etcd knows no more. */
function heirsOfDoubtful({
  self,
  map,
  registrations,
  hints,
  shardWeights,
}: Facts): ReadonlyMap<number, ControllerId> {
  if (map === null) return new Map();
  const sound = registrations.filter(
    ({ id, draining }) =>
      !draining && (id === self || (hints.get(id)?.state ?? 'alive') === 'alive'),
  );
  const staying = new Set(sound.map(({ id }) => id));
  if (map.members.every(({ id }) => staying.has(id))) return new Map();
  return heirs(map, owning(sound), shardWeights);
}
