/**
 * What the verbs on edges and on the cluster refuse, as data. Ports throw it as `Refusal`;
 * `activities/failures.ts` is the one place that turns it into a Temporal failure.
 */
import type { Phase } from './edge-spec';
import type { NodeName } from './ids';

/** In all of these nothing was changed. */
export type RefusalFact =
  /** The phase belongs to somebody else (`holder`), or can't follow the present one (`phase`). */
  | { code: 'PhaseConflict'; node: NodeName; phase: Phase | null; holder: string | null }
  /** `phases/<id>` is not at the revision that the writer expected. */
  | { code: 'PhaseMoved'; node: NodeName; expectedRevision: number; actualRevision: number | null }
  /** The controller no longer owns the shard; its successor may do it. */
  | { code: 'StaleFence'; shard: number; ownerRevision: number }
  /** Decided against a spec older than the one the edge has accepted. */
  | { code: 'StaleRevision'; node: NodeName; revision: number; acceptedRevision: number }
  /** The plan that was approved is not the one that would run now. */
  | { code: 'PlanChanged'; node: NodeName; approvedHash: string; planHash: string }
  /** Frozen on that host, for the node or for all. */
  | { code: 'Frozen'; node: NodeName; scope: 'local' | 'node' | 'global' }
  /** No stream from that edge, or it has not accepted the spec it was sent. */
  | { code: 'EdgeAbsent'; node: NodeName; lastSeenMs: number | null }
  /** Only a node that is marked for deletion is removed (or by force). */
  | { code: 'NotMarkedForDeletion'; node: NodeName }
  /** Fewer than `floor` nodes would announce the service. */
  | { code: 'FloorReached'; service: string; announcers: NodeName[]; floor: number }
  /** The floor would hold, were some of the permits that these hold given back; they are called back. */
  | { code: 'PermitsOut'; service: string; holders: NodeName[]; floor: number }
  /** So many withdrawals were commanded within the governor's window. */
  | { code: 'GovernorFull'; most: number; windowMs: number; freesAtMs: number }
  /** Somebody else commanded since the picture was made: look again. */
  | { code: 'PictureMoved'; governorRevision: number; actualRevision: number }
  | { code: 'InvalidInput'; problems: string[] };

export type RefusalCode = RefusalFact['code'];

/** A refusal on its way through code that throws. `message` says what to do about it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  constructor(
    readonly fact: RefusalFact,
    message: string,
  ) {
    super(message);
  }
}

/** Whether the same call may succeed later, or elsewhere, without anybody deciding anew. */
export const RETRYABLE: Record<RefusalCode, boolean> = {
  PhaseConflict: true,
  PhaseMoved: false,
  StaleFence: true,
  StaleRevision: false,
  PlanChanged: false,
  Frozen: false,
  EdgeAbsent: true,
  NotMarkedForDeletion: false,
  FloorReached: false,
  PermitsOut: true,
  GovernorFull: true,
  PictureMoved: false,
  InvalidInput: false,
};

const isCode = (value: unknown): value is RefusalCode =>
  typeof value === 'string' && Object.hasOwn(RETRYABLE, value);

/**
 * The refusal at the bottom of an error: itself, or what caused an error that wraps it. Temporal
 * carries a refusal as a failure whose `type` is the code and whose `details[0]` are the facts.
 */
export function refusalIn(error: unknown): { fact: RefusalFact; message: string } | null {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (e instanceof Refusal) return { fact: e.fact, message: e.message };
    const { type, details } = e as { type?: unknown; details?: unknown };
    if (isCode(type) && Array.isArray(details)) {
      return { fact: details[0] as RefusalFact, message: e.message };
    }
  }
  return null;
}

export type Facts<C extends RefusalCode> = Extract<RefusalFact, { code: C }>;

/** The facts of a refusal with this code, or null where the error is another one. */
export function factsOf<C extends RefusalCode>(error: unknown, code: C): Facts<C> | null {
  const fact = refusalIn(error)?.fact;
  return fact?.code === code ? (fact as Facts<C>) : null;
}
