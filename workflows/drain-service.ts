/**
 * Takes one service away from regions, or everywhere (which the floor refuses unless a person forces it):
 * as drainNode does it, of many nodes at once. Whatever stops it, the regions stand again as before.
 */
import { CancellationScope, isCancellation, setHandler } from '@temporalio/workflow';
import { stanceOf, strengths } from '../core/failover/plan';
import type { Stance } from '../core/model/anycast';
import { refusalIn } from '../core/model/errors';
import type { ServiceDrainInput } from '../core/model/routing-messages';
import { floorReached, floorText } from '../core/routing/floor';
import { type DrainResult, drainOutcome } from './drain-node';
import { notMoved, refuse } from './failures';
import { checkServiceDrainInput } from './input-routing';
import { progress, undrain } from './messages';
import { RoutingSteps } from './routing-steps';
import { Saga } from './saga';
import { ServiceTraffic, type ServiceLook, nodesIn } from './service-traffic';
import { Visibility } from './visibility';

export async function drainService(input: ServiceDrainInput): Promise<DrainResult> {
  const { service, undo = false } = checkServiceDrainInput(input);
  const steps = new RoutingSteps(service, new Visibility({ service }));
  const run = new ServiceDrain(input, steps);
  const going = new CancellationScope();
  let turned = undo;
  setHandler(progress, () => steps.progress);
  setHandler(undrain, () => {
    turned = true;
    going.cancel();
  });
  if (!turned) {
    try {
      await going.run(() => run.drain());
      // Told to turn back when it had just come to its end, it does.
      if (!turned)
        return { outcome: 'drained', verified: steps.verified, steps: steps.progress.steps };
    } catch (error) {
      if (!turned || !isCancellation(error)) throw error;
    }
  }
  await run.undrain();
  return { outcome: 'undrained', verified: steps.verified, steps: steps.progress.steps };
}

class ServiceDrain {
  private readonly traffic;

  constructor(
    private readonly input: ServiceDrainInput,
    private readonly steps: RoutingSteps,
  ) {
    const { service, reason, by, force = false, timings } = input;
    this.traffic = new ServiceTraffic(service, { reason, by, force }, steps, timings);
  }

  async drain(): Promise<void> {
    const { traffic, steps, input } = this;
    const saga = new Saga();
    try {
      const look = await traffic.look(input.regions);
      const regions = this.regionsOf(look);
      const nodes = nodesIn(look.service, regions);
      this.mayWithdraw(look, nodes);
      saga.register('announcements', () => this.restore(look, regions));
      await this.lastChoice(look, regions);
      const last = await traffic.lower('withdraw', each(regions, 'withdraw'));
      await traffic.follow('withdraw', nodes, { stance: 'withdraw', way: 'atMost', ...last });
      await traffic.peers('withdraw', look, nodes, 'gone');
      await traffic.quiet(look, nodes);
      steps.say('drained');
    } catch (error) {
      const refused = refusalIn(error);
      // Nothing was done.
      if (refused !== null && saga.registered.length === 0) {
        throw refuse(refused.fact, refused.message);
      }
      return await CancellationScope.nonCancellable(async () => {
        steps.say('undoing');
        const left = await saga.unwind();
        steps.say(left.length === 0 ? 'undone' : 'undoFailed');
        throw drainOutcome(error, left);
      });
    }
  }

  /** Backups, and what is withdrawn already, would be announced by it. */
  private async lastChoice(look: ServiceLook, regions: string[]): Promise<void> {
    const { traffic } = this;
    const serving = strengths(look.service, look.said)
      .filter((region) => regions.includes(region.region) && stanceOf(region) !== 'withdraw')
      .map(({ region }) => region);
    if (serving.length === 0) return;
    const nodes = nodesIn(look.service, serving);
    const { revision } = await traffic.lower('deprefer', each(serving, 'deprefer'));
    await traffic.follow('deprefer', nodes, { stance: 'deprefer', way: 'atMost', revision });
    await this.haveMoved(look, nodes);
  }

  /** In stages where it was withdrawn: as the last choice first, then by its weight. */
  async undrain(): Promise<void> {
    const { traffic, steps } = this;
    steps.returns();
    const look = await traffic.look(this.input.regions);
    // One that announces by a command is none that was drained: a failover has raised it.
    const isDrained = (region: string): boolean =>
      (look.service.traffic[region]?.stance ?? 'announce') !== 'announce';
    const regions = this.regionsOf(look).filter(isDrained);
    const serving = this.byWeight(look, regions);
    const nodes = nodesIn(look.service, serving);
    if (serving.some((region) => look.service.traffic[region]?.stance === 'withdraw')) {
      const { revision } = await traffic.raise('deprefer', each(serving, 'deprefer'));
      const back = { stance: 'deprefer', way: 'atLeast', revision } as const;
      await traffic.follow('deprefer', nodes, back);
    }
    if (serving.length > 0) {
      const { revision } = await traffic.raise('announce', each(serving, null));
      await traffic.follow('announce', nodes, { stance: 'announce', way: 'atLeast', revision });
      await traffic.peers('announce', look, nodes, 'announced');
    }
    const standBy = regions.filter((region) => !serving.includes(region));
    // By its weight a backup withdraws: that takes it away, where it still is the last choice.
    if (standBy.length > 0) await traffic.lower('announce', each(standBy, null));
    steps.say('active');
  }

  private regionsOf({ service }: ServiceLook): string[] {
    return this.input.regions ?? [...new Set(service.nodes.map(({ region }) => region))].sort();
  }

  /** Backups have nothing to come back to. */
  private byWeight({ service }: ServiceLook, regions: string[]): string[] {
    const backups = service.regions.filter(({ weight }) => weight === 0).map(({ name }) => name);
    return regions.filter((region) => !backups.includes(region));
  }

  private mayWithdraw({ placed, picture }: ServiceLook, nodes: string[]): void {
    if (this.input.force) return;
    const fact = floorReached(placed, picture, nodes);
    if (fact !== null) throw refuse(fact, `It is needed there: ${floorText(fact)}`);
  }

  private async haveMoved(look: ServiceLook, nodes: string[]): Promise<void> {
    const sight = await this.traffic.peers('moving', look, nodes, 'moved');
    if (sight.reached || !sight.configured || this.input.force) return;
    throw notMoved(sight.evidence, this.traffic.timings.moveMs);
  }

  private async restore({ service }: ServiceLook, regions: string[]): Promise<void> {
    const before = regions.map((region) => [region, service.traffic[region]?.stance ?? null]);
    const order = Object.fromEntries(before) as Record<string, Stance | null>;
    await this.traffic.lower('undoing', { regions: order });
  }
}

const each = (
  regions: readonly string[],
  stance: Stance | null,
): { regions: Record<string, Stance | null> } => ({
  regions: Object.fromEntries(regions.map((region) => [region, stance])),
});
