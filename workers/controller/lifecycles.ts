/**
 * Which nodes need a workflow to bring them up or to take them away: level-triggered from what is
 * wanted, so that a crash between a write and a start strands nothing.
 *
 * A start that was made is not repeated for the same wish: an onboarding that fails would fail
 * again. A new revision, an agent that connects and an audit are each a reason to try again.
 */
import type { TemporalClient } from '../../adapters/temporal/client';
import type { NodeName } from '../../core/model/ids';
import type { DesiredState } from './desired';
import type { Handoff } from './handoff';

export interface LifecyclesDependencies {
  desired: DesiredState;
  owns: (node: NodeName) => boolean;
  handoff: Handoff;
  temporal: () => Promise<TemporalClient>;
}

type Wish = { workflow: 'onboard' | 'decommission'; revision: number } | null;

export class Lifecycles {
  /** The wish for which a start was last asked, by node. */
  readonly #asked = new Map<NodeName, string>();
  readonly #deps: LifecyclesDependencies;

  constructor(dependencies: LifecyclesDependencies) {
    this.#deps = dependencies;
  }

  check(node: NodeName): void {
    const wish = this.#wish(node);
    const key = `life/${node}`;
    if (wish === null) {
      this.#asked.delete(node);
      this.#deps.handoff.cancel(key);
      return;
    }
    const id = `${wish.workflow}@${wish.revision}`;
    if (this.#asked.get(node) === id || !this.#deps.owns(node)) return;
    this.#asked.set(node, id);
    this.#deps.handoff.submit(key, {
      id,
      send: () => this.#start(node, wish),
      done: () => undefined,
    });
  }

  /** There is a new reason to try. */
  retry(node: NodeName): void {
    this.#asked.delete(node);
    this.check(node);
  }

  #wish(node: NodeName): Wish {
    const { nodeRevision, deletionRevision, phase } = this.#deps.desired.of(node);
    if (nodeRevision === null) return null;
    if (deletionRevision !== null) return { workflow: 'decommission', revision: deletionRevision };
    // `decommissioning` without a mark: an onboarding could not take back what it had begun.
    const begun = phase === 'onboarding' || phase === 'decommissioning';
    if (phase !== null && !begun) return null;
    return { workflow: 'onboard', revision: nodeRevision };
  }

  async #start(node: NodeName, wish: NonNullable<Wish>): Promise<void> {
    const temporal = await this.#deps.temporal();
    const region = this.#deps.desired.inputs(node).node?.value.resource.metadata.region ?? null;
    const input = { node, revision: wish.revision };
    if (wish.workflow === 'onboard') await temporal.startOnboard({ node, region }, input);
    else await temporal.startDecommission({ node, region }, input);
  }
}
