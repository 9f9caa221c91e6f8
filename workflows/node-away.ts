/** One node's announcements, on their way out and back: what drain and quarantine both do. */
import { condition, patched, sleep, workflowInfo } from '@temporalio/workflow';
import type { Stance } from '../core/model/anycast';
import type { Phase } from '../core/model/edge-spec';
import { factsOf } from '../core/model/errors';
import type { NodeName } from '../core/model/ids';
import type { Commanded, DrainTimings, Wish } from '../core/model/routing-messages';
import { floorReached, floorText } from '../core/routing/floor';
import * as announcements from './announcements';
import { TIMINGS, addressesOf, prefixesOf } from './announcements';
import { notMoved, refuse } from './failures';
import { holdPhaseOf } from './proxies';
import { commandBy } from './routing-proxies';
import type { Evidence, RoutingSteps } from './routing-steps';

export class NodeAway {
  private reannounceAtMs: number | null = null;
  private holds = false;
  private hurried = false;
  private readonly cluster;
  private readonly timings;

  constructor(
    private readonly node: NodeName,
    private readonly wish: Wish,
    private readonly steps: RoutingSteps,
    timings: DrainTimings = {},
  ) {
    this.cluster = holdPhaseOf(node);
    this.timings = { ...TIMINGS, ...timings };
  }

  /** A person will not wait for what upstreams damp. */
  hurry(): void {
    this.hurried = true;
  }

  look(): Promise<announcements.Look> {
    const { node } = this;
    return announcements.lookAround({ node }, () => [node]);
  }

  async phase(): Promise<Phase | null> {
    return (await this.cluster.desired({ node: this.node })).phase;
  }

  async enter(phase: Phase): Promise<void> {
    const { node } = this;
    const { workflowId: holder } = workflowInfo();
    const granted = await this.cluster.requestPhase({ node, phase, holder });
    this.holds = true;
    this.reannounceAtMs = granted.reannounceAtMs ?? null;
  }

  async release(outcome: 'done' | 'failed', next: Phase): Promise<void> {
    const { node } = this;
    const { workflowId: holder } = workflowInfo();
    await this.cluster.releasePhase({ node, holder, outcome, next });
    this.holds = false;
  }

  /** After a failure: what is held by nobody, or by others, is theirs, and no second failure hides the first. */
  async abandon(next: Phase): Promise<void> {
    if (!this.holds && patched('abandons what it holds')) return;
    try {
      await this.release('failed', next);
    } catch (error) {
      if (factsOf(error, 'PhaseConflict') === null) throw error;
    }
  }

  /** `announce` where nothing ever was. */
  commanded({ placed }: announcements.Look): Stance {
    const here = placed.services[0]?.nodes.find(({ node }) => node === this.node);
    return here?.command?.stance ?? 'announce';
  }

  /** Refuses before anything is done what the governor would refuse at the end. */
  mayWithdraw(look: announcements.Look): void {
    if (this.wish.force) return;
    const fact = floorReached(look.placed, look.picture, [this.node]);
    if (fact !== null) throw refuse(fact, `${this.node} is needed: ${floorText(fact)}`);
  }

  async command(stance: Stance): Promise<Commanded> {
    return this.steps.step(stance, `command ${this.node}: ${stance}`, () => this.order(stance));
  }

  private order(stance: Stance): Promise<Commanded & Evidence> {
    const { node, wish } = this;
    const { commandNode } = commandBy(node);
    return announcements.commandBy(
      () => this.look(),
      ({ picture }) =>
        commandNode.executeWithOptions({ summary: `${node}: ${stance}` }, [
          { ...wish, node, stance, picture },
        ]),
    );
  }

  /** An edge that is not there follows when it is back: that is shown, and not waited for. */
  async followed(stance: Stance, revision: number): Promise<boolean> {
    const way = 'atMost';
    const result = await this.steps.step(stance, `${this.node} follows: ${stance}`, () =>
      this.follows(stance, way, revision),
    );
    return result.verified === true;
  }

  private follows(stance: Stance, way: 'atMost' | 'atLeast', revision: number) {
    const wanted = { services: null, stance, way, revision };
    return announcements.follow([this.node], wanted, this.timings.followMs);
  }

  /** False: they were seen not to have. Without an observer they are given a time to do so. */
  async moved({ placed }: announcements.Look): Promise<boolean> {
    const { node, timings } = this;
    const wanted = { prefixes: prefixesOf(placed), nodes: [node], as: 'moved' as const };
    const sight = await this.steps.step('moving', 'peers have moved', async () => {
      const seen = await announcements.peers(node, wanted, timings.moveMs);
      if (!seen.configured) await sleep(timings.unseenMs, { summary: 'peers move, unobserved' });
      return seen;
    });
    return sight.reached || !sight.configured;
  }

  /** Zero loss needs the peers elsewhere before anything is withdrawn. */
  async haveMoved(look: announcements.Look): Promise<void> {
    if ((await this.moved(look)) || this.wish.force) return;
    throw notMoved(this.steps.progress.steps.at(-1)?.evidence ?? '', this.timings.moveMs);
  }

  async gone(look: announcements.Look): Promise<void> {
    const wanted = { prefixes: prefixesOf(look.placed), nodes: [this.node], as: 'gone' as const };
    await this.steps.step('withdraw', 'gone at the peers', () =>
      announcements.peers(this.node, wanted, this.timings.moveMs),
    );
  }

  async quiet(look: announcements.Look): Promise<void> {
    await this.steps.step('quieting', 'its counters are quiet', () =>
      announcements.quiet([this.node], addressesOf(look.placed), this.timings),
    );
  }

  /**
   * In stages: first as the last choice, so that the edge's proof and its sessions are seen to hold,
   * then as any other. `hold`: between the two, it may throw; `patient`: it waits where routers may damp it.
   */
  async back(
    look: announcements.Look,
    { hold = async () => {}, patient }: { hold?: () => Promise<void>; patient: boolean },
  ): Promise<void> {
    if (this.commanded(look) === 'withdraw') {
      await this.young(look, patient);
      const { revision } = await this.command('deprefer');
      await this.returned('deprefer', revision);
      await hold();
    }
    const { revision } = await this.command('announce');
    await this.announced(look, revision);
  }

  /** By its own word, and by a peer's. */
  async announced(look: announcements.Look, revision: number): Promise<void> {
    await this.returned('announce', revision);
    await this.steps.step('announce', 'seen at a peer', () => {
      const wanted = { prefixes: prefixesOf(look.placed), nodes: [this.node] };
      const { moveMs } = this.timings;
      return announcements.peers(this.node, { ...wanted, as: 'announced' }, moveMs);
    });
  }

  async sessions(neighbors: string[], limitMs: number): Promise<void> {
    await this.steps.step('sessions', 'BGP and BFD are up', () =>
      announcements.sessions(this.node, neighbors, limitMs),
    );
  }

  private async returned(stance: Stance, revision: number): Promise<void> {
    await this.steps.step(stance, `${this.node} announces: ${stance}`, () =>
      this.follows(stance, 'atLeast', revision),
    );
  }

  /** From when on it may be announced again (core/damping); null: now. */
  notBefore(look: announcements.Look): number | null {
    const atMs = this.commanded(look) === 'withdraw' ? this.reannounceAtMs : null;
    return atMs !== null && atMs > Date.now() ? atMs : null;
  }

  /** Waits, unless a person will not; what may come of that is said. */
  private async young(look: announcements.Look, patient: boolean): Promise<void> {
    const atMs = this.notBefore(look);
    if (atMs === null) return;
    if (patient && !this.wish.force && !this.hurried) {
      const summary = 'routers damp what comes back too often';
      this.steps.say('waiting', { what: `its return (${summary})`, atMs });
      const hurried = await condition(() => this.hurried, atMs - Date.now(), { summary });
      if (!hurried) return;
    }
    const evidence = 'it came back a short time ago: a router that damps may mute it';
    await this.steps.step('deprefer', 'upstreams', async () => ({ evidence }));
  }
}
