/**
 * What an edge sends up as JSON, checked before anything is done with it. Fields that are not known
 * here pass: a newer agent may say more, and what it says goes on to workflows that understand it.
 */
import { z } from 'zod';
import type { FindingKind } from '../plan/types';
import { PHASES } from './edge-spec';
import type { Decision, DriftReport, EdgeStatus, RepairRecord } from './messages';
import type { Parsed } from './values';

const count = z.int().nonnegative();
const atMs = z.number().nonnegative();
const lines = z.array(z.string());

const finding = z.looseObject({
  // A kind that only a newer agent knows is still a finding.
  kind: z.custom<FindingKind>((kind) => typeof kind === 'string'),
  object: z.string(),
  message: z.string(),
  conflict: z.boolean(),
});

const decisionKind = z.custom<Decision['kind']>((kind) => typeof kind === 'string');
const decision = z
  .looseObject({ kind: z.string() })
  .transform((value): Decision => value as unknown as Decision);

const frozen = z.looseObject({ local: z.boolean(), node: z.boolean(), global: z.boolean() });

const driftReport: z.ZodType<DriftReport> = z.looseObject({
  node: z.string(),
  incidentId: z.string().min(1).max(100),
  revision: count,
  specHash: z.string(),
  planHash: z.string(),
  findings: z.array(finding),
  cause: z.enum(['spec', 'kernel']),
  kernelAtMs: atMs,
  detectedAtMs: atMs,
  suspect: z.string().nullable(),
  plan: lines,
  policy: z.looseObject({
    policy: z.enum(['auto', 'propose', 'report']),
    budget: z.looseObject({ attempts: count, perMs: atMs }),
    autonomyAfterMs: atMs,
  }),
  frozen,
  budget: z.looseObject({ used: count, freesAtMs: atMs.nullable() }),
  recurring: z.looseObject({ finding: z.string(), times: count }).nullable(),
});

const repairRecord: z.ZodType<RepairRecord> = z.looseObject({
  incidentId: z.string().min(1).max(100),
  atMs,
  decision: decisionKind,
  outcome: z.enum(['converged', 'partial', 'refused', 'none']),
  by: z.enum(['workflow', 'agent']),
  findings: lines,
  repairedInMs: z.number().nullable(),
  reason: z.string().exactOptional(),
  suspect: z.string().nullable().exactOptional(),
});

const hash = z.string().nullable();
const edgeFilters = z.looseObject({
  interfaces: z.array(
    z.looseObject({
      interface: z.string(),
      wanted: hash,
      held: hash,
      problem: z.string().nullable(),
    }),
  ),
  lists: z.array(
    z.looseObject({
      name: z.string(),
      mode: z.enum(['enforce', 'count']),
      wanted: count,
      held: count.nullable(),
      chunksMissing: count,
    }),
  ),
  overrides: z.array(
    z.looseObject({
      prefix: z.string(),
      verdict: z.enum(['block', 'allow']),
      reason: z.string(),
      sinceMs: atMs,
      untilMs: atMs.nullable(),
    }),
  ),
});

const edgeStatus: z.ZodType<EdgeStatus> = z.looseObject({
  node: z.string(),
  incarnation: count,
  agentVersion: z.string(),
  accepted: z.looseObject({ revision: count, hash: z.string(), phase: z.enum(PHASES) }).nullable(),
  appliedHash: z.string().nullable(),
  findings: z.array(finding),
  plan: lines,
  planHash: z.string(),
  incident: z.string().nullable(),
  lastDecision: z.looseObject({ decision, atMs, incidentId: z.string() }).nullable(),
  lastRepair: repairRecord.nullable(),
  nextTimer: z.looseObject({ what: z.string(), atMs }).nullable(),
  budget: z.looseObject({ attempts: count, used: count, perMs: atMs }),
  frozen,
  freeze: z
    .looseObject({
      sinceMs: atMs,
      untilMs: atMs.nullable(),
      reason: z.string(),
      by: z.string().exactOptional(),
    })
    .nullable()
    .exactOptional(),
  controller: z.looseObject({
    connected: z.boolean(),
    address: z.string().nullable(),
    sinceMs: atMs.nullable(),
  }),
  temporal: z.looseObject({ connected: z.boolean() }),
  problems: lines,
  filters: edgeFilters.exactOptional(),
});

/** Of JSON that another process sent: the value, or what is wrong with it. */
export const parser =
  <T>(schema: z.ZodType<T>) =>
  (json: unknown): Parsed<T> => {
    const result = schema.safeParse(json);
    if (result.success) return { ok: true, value: result.data };
    return { ok: false, reason: z.prettifyError(result.error) };
  };

export const parseDriftReport = parser(driftReport);
export const parseRepairRecord = parser(repairRecord);
export const parseEdgeStatus = parser(edgeStatus);
