/** Why nodes that are wanted and have no place yet were not onboarded, as their last run says. */
import type { TemporalClient } from '../../adapters/temporal/client';
import type { NodeName } from '../../core/model/ids';
import type { DesiredState } from './desired';

/** Who waits for a node looks four times a second. */
const KEPT_MS = 1_000;
/** Hundreds that fail at once have one reason; a list of nodes must not wait for all of them. */
const ASKED_AT_ONCE = 16;

type Temporal = Pick<TemporalClient, 'failedOnboarding'>;

export class FailedOnboardings {
  readonly #known = new Map<NodeName, { atMs: number; why: string | null }>();

  constructor(
    private readonly desired: Pick<DesiredState, 'stateOf'>,
    /** Null: not in reach. */
    private readonly temporal: () => Temporal | null,
  ) {}

  /** Of those alone that failed for the revision that is wanted now. */
  async of(nodes: readonly NodeName[]): Promise<ReadonlyMap<NodeName, string>> {
    const waiting = nodes.filter((node) => this.#isWaiting(node));
    const asked = await Promise.all(waiting.slice(0, ASKED_AT_ONCE).map((node) => this.#why(node)));
    return new Map(asked.flatMap((why, i) => (why === null ? [] : [[waiting[i] ?? '', why]])));
  }

  #isWaiting(node: NodeName): boolean {
    const { nodeRevision, deletionRevision, phase } = this.desired.stateOf(node);
    const none = phase === null || phase === 'decommissioning';
    const waits = nodeRevision !== null && deletionRevision === null && none;
    if (!waits) this.#known.delete(node);
    return waits;
  }

  async #why(node: NodeName): Promise<string | null> {
    const known = this.#known.get(node);
    if (known !== undefined && performance.now() - known.atMs < KEPT_MS) return known.why;
    const failed = await this.temporal()
      ?.failedOnboarding(node)
      .catch(() => null);
    const isWanted = failed?.revision === this.desired.stateOf(node).nodeRevision;
    const why = isWanted ? (failed?.why ?? null) : null;
    this.#known.set(node, { atMs: performance.now(), why });
    return why;
  }
}
