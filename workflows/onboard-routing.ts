/** The last step of onboarding: sessions up, the node active, its services announced and seen at a peer. */
import { isCancellation, workflowInfo } from '@temporalio/workflow';
import type { RoutingStep } from '../core/model/routing-messages';
import type { Look } from './announcements';
import { reasonOf } from './failures';
import { NodeAway } from './node-away';
import { clusterOf } from './proxies';
import { RoutingSteps } from './routing-steps';
import type { StagedWork } from './staged-work';

/** Routers take some seconds to answer somebody new. */
const SESSIONS_MS = 30_000;

export class OnboardRouting {
  private readonly steps: RoutingSteps;
  private readonly away: NodeAway;
  private speaks = false;
  private commanded: { look: Look; revision: number } | null = null;

  constructor(
    private readonly node: string,
    private readonly work: StagedWork,
  ) {
    this.steps = new RoutingSteps(node, work.visibility);
    const wish = { reason: 'onboarded', by: workflowInfo().workflowId, force: false };
    this.away = new NodeAway(node, wish, this.steps);
  }

  async sessions(): Promise<void> {
    const { neighbors = [] } = await clusterOf(this.node).desired({ node: this.node });
    this.speaks = neighbors.length > 0;
    if (this.speaks) await this.away.sessions(neighbors, SESSIONS_MS);
  }

  /** Nothing comes of it before the node is active. A command of a former life of this name would keep it silent. */
  async command(): Promise<void> {
    if (!this.speaks) return;
    const look = await this.away.look();
    if (look.placed.services.length === 0) return;
    const { revision } = await this.away.command('announce');
    this.commanded = { look, revision };
  }

  /**
   * Whatever comes of it, the node is active: it is told, and nothing is taken back. Null: no BGP. `early` false: of runs
   * that a former version began.
   */
  async announced(early: boolean): Promise<RoutingStep[] | null> {
    if (!this.speaks) return null;
    try {
      if (!early) await this.command();
      if (this.commanded !== null) {
        await this.away.announced(this.commanded.look, this.commanded.revision);
      }
      this.work.say('active', 'Done: the agent keeps it from here.');
    } catch (error) {
      if (!isCancellation(error))
        this.work.say('active', `Not seen to announce: ${reasonOf(error)}`);
    }
    return this.steps.progress.steps;
  }
}
