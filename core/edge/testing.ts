/** Builders that the tests of this folder share. */
import type { EdgeSpec, OwnerFence, Phase } from '../model/edge-spec';
import type { ReconcileRequest, ReconcileResult } from '../model/messages';
import { NO_ROUTING, plainFilter, type RepairPolicy } from '../model/node';
import type { Finding } from '../plan/types';
import type { Look } from './types';

export const NODE = 'fra-1';

export const fence = (ownerRevision = 1, clusterIncarnation = 1): OwnerFence => ({
  clusterIncarnation,
  shard: 7,
  ownerRevision,
});

export const spec = (
  revision: number,
  phase: Phase = 'active',
  policy: RepairPolicy['policy'] = 'auto',
  filters: readonly string[] = [],
): EdgeSpec => ({
  schema: 1,
  node: NODE,
  revision,
  phase,
  namespaces: [],
  filters: filters.map((name) => plainFilter(name)),
  blocklists: [],
  blocks: [],
  ...NO_ROUTING,
  services: [],
  repair: { policy, budget: { attempts: 2, perMs: 60_000 }, autonomyAfterMs: 1_000 },
  frozen: { node: false, global: false },
});

/** Stands for the real hash: what is the same but for its revision has the same. */
export const hash = ({ phase, repair, frozen, filters }: EdgeSpec): string =>
  `${phase}-${repair.policy}${filters.map((filter) => `-${filter.interface}`).join('')}${frozen.node ? '-frozen' : ''}${frozen.global ? '-allfrozen' : ''}`;

export const finding = (object: string): Finding => ({
  kind: 'linkMissing',
  object,
  message: `${object} is missing`,
  conflict: false,
});

export const look = (specHash: string, objects: readonly string[]): Look => ({
  specHash,
  findings: objects.map(finding),
  plan: objects.map((object) => `create ${object}`),
  planHash: objects.join('+'),
});

export const asked = (
  revision: number,
  incidentId: string,
  planHash: string | null = null,
): ReconcileRequest => ({
  node: NODE,
  incidentId,
  fence: { workflowId: `node/${NODE}/repair`, runId: 'run-1', revision, planHash },
  stages: null,
});

export const result = (
  revision: number,
  found: readonly string[],
  remaining: readonly string[],
  nowMs: number,
): ReconcileResult => ({
  outcome: remaining.length === 0 ? 'converged' : 'partial',
  reason: remaining.length === 0 ? null : `${remaining.join(', ')} is left`,
  revision,
  planHash: found.join('+'),
  found: found.map(finding),
  applied: found.filter((object) => !remaining.includes(object)).map((o) => `create ${o}`),
  remaining: remaining.map(finding),
  startedAtMs: nowMs,
  finishedAtMs: nowMs,
  repairedInMs: null,
});
