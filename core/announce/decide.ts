/**
 * One decision of the agent about its services: what is remembered and what is known now give the
 * stances, what is to be remembered, and the events of it. Decided anew whenever anything changes, and
 * by time: four times a second is often enough for everything that ends by itself.
 */
import type { EdgeService } from '../model/anycast';
import type { Now } from '../model/now';
import {
  EMPTY_OUTBOX,
  enqueue,
  stanceChanges,
  type Outbox,
  type Standing,
  type UnnumberedEvent,
} from './events';
import { live, type StanceOverride } from './override';
import { judge, type Evidence, type Judgement, type Known } from './proof';
import type { BfdReport } from './types';

/** What survives a restart of the agent. JSON-plain and bounded. */
export interface RoutingMemory {
  schema: 1;
  outbox: Outbox;
  /** Stances by hand; those that have ended are left out. */
  overrides: StanceOverride[];
  /** By prefix: what was last known; absent = never proven. */
  known: Record<string, Known>;
  /** By service. */
  standings: Record<string, Standing>;
  /** By `probeKey`: how the probes stood, what one success confirms. */
  healthy: Record<string, boolean>;
  /** There is, or may be, something of ours in the bfd process or gobgpd. */
  active: boolean;
  /** An agent runs, or ended without having been told to stop; a host that went takes its agent along. */
  running: boolean;
  /** Of the host's run in which it was proven: another one has proven nothing yet. */
  bootId: string;
}

export const EMPTY_ROUTING_MEMORY: RoutingMemory = {
  schema: 1,
  outbox: EMPTY_OUTBOX,
  overrides: [],
  known: {},
  standings: {},
  healthy: {},
  active: false,
  running: false,
  bootId: '',
};

export interface Decided {
  memory: RoutingMemory;
  judged: Judgement[];
}

export function decide(
  memory: RoutingMemory,
  services: readonly EdgeService[],
  evidence: Evidence,
  graceMs: number,
  now: Now,
): Decided {
  const { epochMs } = now;
  const overrides = live(memory.overrides, epochMs);
  const judged = judge(services, evidence, overrides, memory.known, graceMs, now);
  const stood = stanceChanges(memory.standings, judged.services, epochMs);
  return {
    judged: judged.services,
    memory: {
      ...memory,
      overrides,
      known: judged.known,
      standings: stood.standings,
      outbox: enqueue(memory.outbox, stood.events, epochMs),
      healthy: { ...memory.healthy, ...healthOf(evidence) },
    },
  };
}

/** As an agent begins: after a boot nothing of the host is as it was, and nobody is attracted by what was. */
export const booted = (memory: RoutingMemory, bootId: string): RoutingMemory =>
  memory.bootId === bootId ? memory : { ...memory, bootId, known: {}, healthy: {}, running: false };

/** The agent before this one ended in this run of the host, and nobody had told it to. */
export function crashOf({ active, running }: RoutingMemory, { epochMs }: Now): UnnumberedEvent[] {
  if (!active || !running) return [];
  const reason = 'the agent before this one did not stop, it ended';
  return [{ kind: 'agentCrash', atMs: epochMs, reason }];
}

const healthOf = ({ probes }: Evidence): Record<string, boolean> =>
  Object.fromEntries(
    [...probes].flatMap(([key, { healthy }]) => (healthy === null ? [] : [[key, healthy]])),
  );

/** Other services, other probes: what is said of those that are gone is forgotten. */
export const forgetHealth = (memory: RoutingMemory, keys: ReadonlySet<string>): RoutingMemory => ({
  ...memory,
  healthy: Object.fromEntries(Object.entries(memory.healthy).filter(([key]) => keys.has(key))),
});

/**
 * What the bfd process goes by as an agent begins. A lease that ran out means that nothing is as it was
 * before: nobody announces anything again without a fresh proof. One that goes on tells of prefixes
 * what a lost memory does not.
 */
export function attached(
  memory: RoutingMemory,
  { expired, paths }: Pick<BfdReport, 'expired' | 'paths'>,
  { monotonicMs }: Now,
): RoutingMemory {
  if (expired !== null) {
    const known = Object.keys(memory.known).map(
      (prefix) => [prefix, { held: false, unknownSinceMs: null }] as const,
    );
    return { ...memory, known: Object.fromEntries(known), healthy: {} };
  }
  const leased = paths
    .filter(({ stance }) => stance !== 'withdraw')
    .map(
      ({ prefix, stance }) =>
        [prefix, { held: stance === 'announce', unknownSinceMs: monotonicMs }] as const,
    );
  return { ...memory, known: { ...Object.fromEntries(leased), ...memory.known } };
}
