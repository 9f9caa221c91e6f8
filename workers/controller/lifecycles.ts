/**
 * Which nodes need a workflow to bring them up or to take them away: level-triggered from what is
 * wanted, so that a crash between a write and a start strands nothing.
 *
 * A start that was made is not repeated for the same wish: an onboarding that fails would fail
 * again. A new revision, an agent that connects and an audit are each a reason to try again; and so
 * is the failure of an onboarding that a later wish had only joined.
 *
 * Onboardings begin a few at a time: hundreds at once keep Temporal busy with what has timed out meanwhile,
 * and take many times as long (decision 0131).
 */
import type { TemporalClient } from '../../adapters/temporal/client';
import type { NodeName } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import type { DesiredState } from './desired';
import type { Handoff } from './handoff';
import { Turns } from './turns';

export interface LifecyclesDependencies {
  desired: DesiredState;
  owns: (node: NodeName) => boolean;
  /** Without an agent an onboarding waits, and takes nobody's time. */
  connected: (node: NodeName) => boolean;
  handoff: Handoff;
  temporal: () => Promise<Pick<TemporalClient, 'startOnboard' | 'startDecommission'>>;
}

/** By measurement: docs/notes/scale.md. */
const ONBOARDINGS_AT_ONCE = 32;
/** One that takes longer waits for something, its upstreams for example. */
const PATIENCE_MS = 60_000;

type Wish = { workflow: 'onboard' | 'decommission'; revision: number } | null;

export class Lifecycles {
  /** By node: the wish for which a start was last asked, and whether it joined a run begun for another. */
  readonly #asked = new Map<NodeName, { id: string; joined: boolean }>();
  readonly #turns = new Turns<NodeName>({
    atOnce: ONBOARDINGS_AT_ONCE,
    patienceMs: PATIENCE_MS,
  });
  readonly #deps: LifecyclesDependencies;

  constructor(dependencies: LifecyclesDependencies) {
    this.#deps = dependencies;
  }

  check(node: NodeName): void {
    this.#ask(node, false);
    this.admit();
  }

  /** There is a new reason to try. */
  retry(node: NodeName): void {
    this.#ask(node, true);
  }

  /** Begins what may begin now; what is slow makes room by time alone. */
  admit(): void {
    for (let node = this.#turns.next(); node !== null; node = this.#turns.next()) {
      this.#ask(node, true);
    }
  }

  #ask(node: NodeName, again: boolean): void {
    // Of another's nodes nothing is wanted here; it is asked for anew when it is ours again.
    const wish = this.#deps.owns(node) ? this.#wish(node) : null;
    const key = `life/${node}`;
    if (wish?.workflow !== 'onboard' || this.#isWaiting(node)) this.#turns.leave(node);
    if (wish === null) {
      this.#asked.delete(node);
      this.#deps.handoff.cancel(key);
      return;
    }
    const id = `${wish.workflow}@${wish.revision}`;
    const asked = this.#asked.get(node);
    const atWork = this.#isAtWork(node);
    // The run that it joined has failed and taken all back: this wish was never tried itself.
    const untried = asked?.joined === true && !atWork;
    if (asked?.id === id && !untried && !again) return;
    if (wish.workflow === 'onboard' && !atWork && !this.#turns.take(node)) return;
    const later = asked !== undefined && (asked.id !== id || asked.joined);
    this.#asked.set(node, { id, joined: atWork && later });
    this.#deps.handoff.submit(key, {
      id,
      send: () => this.#start(node, wish),
      done: () => undefined,
    });
  }

  /** Whether an onboarding (or what takes it back) holds the node, as far as its phase tells. */
  #isAtWork(node: NodeName): boolean {
    const { phase, deletionRevision } = this.#deps.desired.stateOf(node);
    return phase !== null && deletionRevision === null;
  }

  /** Its onboarding holds the phase, and has no agent to work with. */
  #isWaiting(node: NodeName): boolean {
    return this.#deps.desired.stateOf(node).phase !== null && !this.#deps.connected(node);
  }

  #wish(node: NodeName): Wish {
    const { nodeRevision, deletionRevision, phase } = this.#deps.desired.stateOf(node);
    if (nodeRevision === null || this.#deps.desired.unread.has(keys.phase(node))) return null;
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
    // One that has let go of its phase is about to end: it is waited for, not joined.
    const join = this.#isAtWork(node);
    if (wish.workflow === 'onboard') await temporal.startOnboard({ node, region }, input, join);
    else await temporal.startDecommission({ node, region }, input);
  }
}
