/** What `nodeLifecycle` does with its messages: phases go to etcd, records into its state. */
import { condition, patched } from '@temporalio/workflow';
import type { Phase } from '../core/model/edge-spec';
import { factsOf } from '../core/model/errors';
import type {
  Granted,
  GrantPhase,
  LifecycleState,
  ReleasePhase,
  RepairRecord,
} from '../core/model/messages';
import type { ByHand, RoutingEvents } from '../core/model/routing-messages';
import { Flaps } from './flaps';
import { lifecycleDetails } from './details';
import { refuse } from './failures';
import { isRelease, record, refusedGrant, released } from './lifecycle-state';
import { clusterOf } from './proxies';
import { Visibility } from './visibility';

export class Lifecycle {
  /** The node is gone: decommissioned, and nobody asked for a phase since. */
  ended = false;
  private writing = false;
  private readonly flaps: Flaps;
  private readonly cluster;
  private readonly visibility;

  constructor(
    private readonly node: string,
    public state: LifecycleState,
  ) {
    this.flaps = new Flaps(
      node,
      () => this.state,
      (next) => this.change({ ...this.state, ...next }),
    );
    this.cluster = clusterOf(node);
    this.visibility = new Visibility(node);
  }

  show(): void {
    const { phase, escalation } = this.state;
    const shown = escalation === null ? 'steady' : 'escalated';
    this.visibility.show({ state: shown, phase }, lifecycleDetails(this.node, this.state));
  }

  async record(ended: RepairRecord): Promise<void> {
    // A signal sent by hand may hold anything.
    if (typeof ended?.outcome !== 'string') return;
    const again = this.state.repairs.some(({ incidentId }) => incidentId === ended.incidentId);
    this.change(record(this.state, ended, Date.now()));
    if (ended.cause === 'kernel' && !again && patched('damping')) await this.flaps.drifted();
  }

  async routing(told: RoutingEvents): Promise<void> {
    await this.flaps.happened(told);
  }

  async quarantineEnded(hand: ByHand | null): Promise<void> {
    await this.flaps.ended(hand);
  }

  /** As the query tells it. */
  get shown(): LifecycleState {
    return { ...this.state, penalties: this.flaps.views() };
  }

  mayGrant(grant: GrantPhase, phase = this.state.phase): void {
    const { holder } = this.state;
    const refused = refusedGrant({ phase, holder }, grant);
    if (refused === null) return;
    throw refuse(
      {
        code: 'PhaseConflict',
        node: this.node,
        phase,
        holder: refused.why === 'held' ? holder : null,
      },
      refused.why === 'held'
        ? `${this.node} is in the hands of ${refused.holder}: wait for it, or cancel it.`
        : `${this.node} can't become ${grant.phase} from ${phase ?? 'no phase'}.`,
    );
  }

  /** The holder is set before the first await: of two grants at once, the second is refused. */
  async grant({ phase, holder }: GrantPhase): Promise<Granted> {
    const former = this.state.holder;
    this.ended = false;
    this.change({ ...this.state, holder });
    try {
      const phaseRevision = await this.write(phase, `grant ${phase}`);
      return { phaseRevision, ...this.flaps.granted() };
    } catch (error) {
      // Somebody may have taken over from it meanwhile.
      if (this.state.holder === holder || !patched('the later holder')) {
        this.change({ ...this.state, holder: former });
      }
      throw error;
    }
  }

  mayRelease(release: ReleasePhase): void {
    if (isRelease(this.state, release)) return;
    const { holder, phase } = this.state;
    throw refuse(
      { code: 'PhaseConflict', node: this.node, phase, holder },
      `${release.holder} no longer holds ${this.node}: ${holder ?? 'nobody'} does.`,
    );
  }

  async release(release: ReleasePhase): Promise<void> {
    const { outcome, next } = release;
    await this.write(next, `release: ${outcome}`, () => !this.isTaken(release));
    if (this.isTaken(release)) return;
    this.change(released(this.state, release, Date.now()));
    this.ended = outcome === 'done' && next === null;
  }

  /** By somebody who found that its holder runs no more: what that one still says is of no account. */
  private isTaken({ holder: former }: ReleasePhase): boolean {
    const { holder } = this.state;
    return holder !== null && holder !== former && patched('the later holder');
  }

  /** One writer at a time, by compare-and-set on the revision it wrote last; `may` is asked when its turn has come. */
  private async write(phase: Phase | null, summary: string, may = () => true): Promise<number> {
    // All that wait are woken at once.
    do await condition(() => !this.writing);
    while (this.writing && patched('one writer'));
    if (!may()) return this.state.phaseRevision;
    if (this.state.phase === phase && (phase === null || this.state.phaseRevision > 0)) {
      return this.state.phaseRevision;
    }
    this.writing = true;
    try {
      const phaseRevision = await this.compareAndSet(phase, summary);
      this.change({ ...this.state, phase, phaseRevision });
      return phaseRevision;
    } finally {
      this.writing = false;
    }
  }

  /** After a loss of this history, or of an answer, the key has moved on: then what is there counts. */
  private async compareAndSet(phase: Phase | null, summary: string): Promise<number> {
    const { node } = this;
    const put = (expectedRevision: number): Promise<number> =>
      this.cluster.writePhase.executeWithOptions({ summary }, [{ node, phase, expectedRevision }]);
    try {
      return await put(this.state.phaseRevision);
    } catch (error) {
      if (factsOf(error, 'PhaseMoved') === null) throw error;
      const there = await this.cluster.desired({ node });
      if (there.phase === phase) return there.phaseRevision;
      const { holder } = this.state;
      if (phase !== null && holder !== null) this.mayGrant({ phase, holder }, there.phase);
      return put(there.phaseRevision);
    }
  }

  private change(next: LifecycleState): void {
    this.state = next;
    this.show();
  }
}
