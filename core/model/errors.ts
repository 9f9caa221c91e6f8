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
