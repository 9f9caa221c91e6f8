/** The way out of a failover: who receives, make, headroom, break; and what takes it back. */
import { ApplicationFailure, patched, sleep, workflowInfo } from '@temporalio/workflow';
import {
  type RegionStrength,
  needed,
  receiversOf,
  stanceOf,
  strengths,
  toRaise,
} from '../core/failover/plan';
import type { Stance } from '../core/model/anycast';
import type { NodeName } from '../core/model/ids';
import type {
  FailoverCarried,
  FailoverInput,
  FailoverTimings,
  PlacedService,
} from '../core/model/routing-messages';
import { refuse } from './failures';
import type { FailoverNews } from './failover-news';
import { placement, waitBy } from './routing-proxies';
import type { RoutingSteps } from './routing-steps';
import { ServiceTraffic, type ServiceLook } from './service-traffic';

/** Shorter than a drain's: packets are being lost meanwhile. */
export const FAILOVER_TIMINGS: Required<FailoverTimings> = {
  followMs: 5_000,
  moveMs: 3_000,
  unseenMs: 1_000,
  quietMs: 0,
  quietLimitMs: 0,
  holdDownMs: 60_000,
  stageMs: 10_000,
  lookMs: 60_000,
  settleMs: 60_000,
};

/** Between two looks at counters. */
const RATE_MS = 500;

const all = (regions: readonly string[], stance: Stance | null) => ({
  regions: Object.fromEntries(regions.map((region) => [region, stance])),
});

export class FailoverRun {
  readonly traffic: ServiceTraffic;
  readonly timings: Required<FailoverTimings>;
  /** Regions whose traffic we have taken away, or began to. */
  private readonly away: Set<string>;
  /** Backups that we have told to announce, or began to. */
  private readonly raised: Set<string>;
  /** Nobody could take over: tried again with the next news. */
  private readonly stuck = new Set<string>();
  /** They announce nothing, a backup or one that is drained: what would be taken away? */
  private readonly idle = new Set<string>();
  /** Back in this run: one that fails again has not held. */
  private readonly returned: Set<string>;
  readonly relapses: Record<string, number>;
  /** What a run that was cut off has left is known. */
  private adopted: boolean;

  constructor(
    private readonly input: FailoverInput,
    private readonly steps: RoutingSteps,
    private readonly news: FailoverNews,
  ) {
    const { service, by, carried, timings, force = false } = input;
    this.timings = { ...FAILOVER_TIMINGS, ...timings };
    this.away = new Set(carried?.away);
    this.raised = new Set(carried?.raised);
    this.returned = new Set(carried?.returned);
    this.relapses = { ...carried?.relapses };
    this.adopted = carried !== undefined;
    // The key says who stands behind it; what it undoes is found by that.
    const wish = { by: workflowInfo().workflowId, reason: `${by}: ${input.evidence.what}`, force };
    this.traffic = new ServiceTraffic(service, wish, steps, this.timings);
  }

  carry(moved: boolean): FailoverCarried {
    const { away, raised, returned, relapses, news, steps } = this;
    return {
      moved,
      told: news.all,
      heardMs: news.heardMs,
      hand: news.takeHand(),
      away: [...away],
      raised: [...raised],
      returned: [...returned],
      relapses,
      steps: steps.progress.steps.slice(-8),
    };
  }

  nextDown(): string | null {
    for (const region of this.idle) if (!this.news.isDown(region)) this.idle.delete(region);
    const next = this.news.down.find(
      ({ region }) => !this.away.has(region) && !this.stuck.has(region) && !this.idle.has(region),
    );
    return next?.region ?? null;
  }

  get touched(): boolean {
    return this.away.size > 0 || this.raised.size > 0;
  }

  isAway(): boolean {
    return this.away.size > 0;
  }

  get regionsAway(): string[] {
    return [...this.away];
  }

  /** Nothing is to be done at the moment. True: it goes on; false: it has been quiet for long enough. */
  async settled(moved: boolean): Promise<boolean> {
    const { lookMs, settleMs } = this.timings;
    // Nothing is away, so nothing is there to be wanted back: neither is what goes later.
    this.news.takeHand();
    if (this.stuck.size > 0) {
      const next = { what: 'another try', atMs: Date.now() + lookMs };
      this.steps.say('nobodyTakesOver', next);
      await this.changed(null);
      return true;
    }
    if (!moved) return false;
    this.steps.say('settling', { what: 'the end', atMs: Date.now() + settleMs });
    return this.news.changed(settleMs);
  }

  /** Begun by what is well again: it ends what a run that was cut off has left. False: there is nothing. */
  async takeUp(): Promise<boolean> {
    const { services } = await placement({ service: this.input.service });
    for (const placed of services) this.adopt(placed);
    const found = this.touched;
    if (!this.isAway()) await this.lowerBackups();
    return found;
  }

  /** Commands of this id that this run has not given: of one that was terminated, or could not undo all. */
  private adopt(placed: PlacedService): void {
    if (this.adopted) return;
    this.adopted = true;
    const weights = new Map(placed.regions.map(({ name, weight }) => [name, weight]));
    for (const [region, { stance, by }] of Object.entries(placed.traffic)) {
      if (by !== workflowInfo().workflowId) continue;
      const isBackup = weights.get(region) === 0;
      const isRaised = isBackup && stance !== 'withdraw';
      if (isRaised) this.raised.add(region);
      else if (stance !== 'announce') this.away.add(region);
    }
  }

  /** As of the news; what nobody could take over is tried again with any of them, or after a while. */
  async changed(limitMs: number | null): Promise<boolean> {
    const waits = [limitMs, this.stuck.size > 0 ? this.timings.lookMs : null];
    const known = waits.filter((ms) => ms !== null);
    const told = await this.news.changed(known.length === 0 ? null : Math.min(...known));
    this.stuck.clear();
    return told;
  }

  /** False: nobody could take over, so nothing was taken away. */
  async failOver(region: string): Promise<boolean> {
    if (this.returned.delete(region)) this.relapsed(region);
    const what = this.news.whatOf(region);
    await this.traffic.note('evidence', `${region} does not serve`, { evidence: what });
    if (!(await this.raiseAtOnce(region))) return this.away.has(region);
    const look = await this.traffic.look(null);
    const regions = strengths(look.service, look.said);
    const receiving = await this.make(look, regions);
    if (receiving.length === 0) {
      if (this.news.isPlanned(region)) throw noHeadroom('no other region could announce it');
      this.stuck.add(region);
      return false;
    }
    await this.headroom(look, region, receiving);
    const here = regions.find((each) => each.region === region);
    await this.breakOff(look, region, here ?? null);
    this.steps.say('failedOver');
    return true;
  }

  private downNow(): Set<string> {
    return new Set([...this.news.down.map(({ region }) => region), ...this.away]);
  }

  /**
   * Where nobody else serves, the backup is told before anybody is asked anything. False: the region
   * announces nothing, so there is nothing to move, or a former run has moved it.
   */
  private async raiseAtOnce(region: string): Promise<boolean> {
    const { services } = await placement({ service: this.input.service });
    const [placed] = services;
    if (placed === undefined) throw noService(this.input.service);
    this.adopt(placed);
    if (this.away.has(region)) return false;
    const regions = strengths(placed, []);
    const here = regions.find((each) => each.region === region);
    if (here === undefined || stanceOf(here) === 'withdraw') {
      this.idle.add(region);
      const evidence = 'it announces nothing: nothing is taken away';
      await this.traffic.note('evidence', region, { evidence });
      return false;
    }
    const down = new Set([...this.downNow(), region]);
    const { serving, backups } = receiversOf(regions, down, this.input.to ?? null);
    const [first] = backups;
    if (serving.length === 0 && first !== undefined && !this.raised.has(first.region)) {
      this.raised.add(first.region);
      await this.traffic.raise('making', all([first.region], 'announce'));
    }
    return true;
  }

  /** Receivers that announce, by what they say themselves; peers are asked as well, but not waited for long. */
  private async make(look: ServiceLook, regions: RegionStrength[]): Promise<NodeName[]> {
    const { traffic, raised } = this;
    const to = this.input.to ?? null;
    const receivers = receiversOf(regions, this.downNow(), to);
    const need = needed(look.service);
    const chosen = toRaise(receivers, need, new Set([...raised, ...(to === null ? [] : [to])]));
    const fresh = chosen.filter((region) => !raised.has(region));
    let { revision } = { revision: 0 };
    if (fresh.length > 0) {
      for (const region of fresh) raised.add(region);
      ({ revision } = await traffic.raise('making', all(fresh, 'announce')));
    }
    const backups = receivers.backups.filter(({ region }) => raised.has(region));
    const nodes = [...receivers.serving, ...backups].flatMap((each) => each.nodes);
    if (nodes.length === 0) {
      const evidence = 'no other region has a node of it';
      await traffic.note('making', 'receivers', { evidence, verified: false });
      return [];
    }
    const wanted = { stance: 'announce', way: 'atLeast', revision } as const;
    const enough = Math.min(need, nodes.length);
    const receiving = await traffic.follow('making', nodes, wanted, enough);
    if (receiving.length > 0) await traffic.peers('making', look, nodes, 'announced');
    return receiving;
  }

  /** It came back and fell again: next time it is held down for longer. */
  relapsed(region: string): void {
    this.relapses[region] = (this.relapses[region] ?? 0) + 1;
  }

  private async headroom(look: ServiceLook, region: string, receiving: NodeName[]): Promise<void> {
    const { input, news } = this;
    const need = needed(look.service);
    const load = await this.load(look, receiving);
    const short =
      receiving.length < need ? `${receiving.length} announce it, it needs ${need}` : load;
    if (short !== null && news.isPlanned(region) && !input.force) throw noHeadroom(short);
    await this.traffic.note('headroom', 'headroom', {
      evidence: short ?? `${receiving.length} of ${need} needed announce it`,
      verified: short === null,
    });
  }

  /** Null: it is carried, or nobody knows. */
  private async load(look: ServiceLook, receiving: NodeName[]): Promise<string | null> {
    const { capacityPps } = this.input;
    if (capacityPps === undefined) return null;
    const nodes = look.service.nodes.map(({ node }) => node);
    const before = await this.packets(look, nodes);
    await sleep(RATE_MS, { summary: 'packets per s' });
    const after = await this.packets(look, nodes);
    const pps = ((after - before) * 1_000) / RATE_MS / receiving.length;
    if (pps <= capacityPps) return null;
    return `${Math.round(pps)} packets/s for each of ${receiving.length}, one carries ${capacityPps}`;
  }

  private async packets({ service }: ServiceLook, nodes: NodeName[]): Promise<number> {
    const { addresses } = service;
    const counts = nodes.map(async (node) => {
      try {
        const { packets } = await waitBy(node, 2_000).countersOf({ node, addresses });
        return Object.values(packets).reduce<number>((sum, count) => sum + (count ?? 0), 0);
      } catch {
        return 0;
      }
    });
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  /** Edges that can hear are shut down gracefully; for those that can't, the command is there. */
  private async breakOff(
    look: ServiceLook,
    region: string,
    here: RegionStrength | null,
  ): Promise<void> {
    const { traffic, away } = this;
    const nodes = here?.nodes ?? [];
    const hearing = here?.connected ?? [];
    away.add(region);
    this.raised.delete(region);
    if (hearing.length > 0) {
      const { revision } = await traffic.lower('breaking', all([region], 'deprefer'));
      await traffic.follow('breaking', hearing, { stance: 'deprefer', way: 'atMost', revision });
      await traffic.peers('breaking', look, nodes, 'moved');
    } else {
      const evidence = 'no edge of it is connected: commanded, not waited for';
      await traffic.note('breaking', `edges of ${region}`, { evidence, verified: false });
    }
    const withdrawn = await traffic.lowerIfMay('breaking', all([region], 'withdraw'));
    if (withdrawn === null) {
      // They shall not take traffic before the hold-down when they are back.
      const unheard = hearing.length === 0 && patched('last choice unheard');
      if (unheard) await traffic.lower('breaking', all([region], 'deprefer'));
      return;
    }
    const { revision } = withdrawn;
    if (hearing.length > 0) {
      await traffic.follow('breaking', hearing, { stance: 'withdraw', way: 'atMost', revision });
    }
    await traffic.peers('verifying', look, nodes, 'gone');
  }

  /** The region serves by its weight again. */
  async gaveBack(region: string): Promise<void> {
    this.away.delete(region);
    this.returned.add(region);
    if (this.away.size === 0) await this.lowerBackups();
  }

  /** Make before break, the other way round. Null: they are as they were; else why not. */
  private async lowerBackups(): Promise<string | null> {
    const { traffic, raised } = this;
    const backups = [...raised];
    if (backups.length === 0) return null;
    const look = await traffic.look(backups);
    const nodes = strengths(look.service, look.said).filter(({ region }) => raised.has(region));
    const { revision } = await traffic.lower('returning', all(backups, 'deprefer'));
    const hearing = nodes.flatMap(({ connected }) => connected);
    await traffic.follow('returning', hearing, { stance: 'deprefer', way: 'atMost', revision });
    const of = nodes.flatMap((each) => each.nodes);
    await traffic.peers('returning', look, of, 'moved');
    if ((await traffic.lowerIfMay('returning', all(backups, 'withdraw'))) === null) {
      return `${backups.join(', ')} announce as the last choice: the floor needs them`;
    }
    await traffic.lower('returning', all(backups, null));
    raised.clear();
    return null;
  }

  /** Null: all is as before. The receivers go only when the regions announce again. */
  async takeBack(): Promise<string | null> {
    const { traffic, away } = this;
    const regions = [...away];
    if (regions.length > 0) {
      const look = await traffic.look(regions);
      const { revision } = await traffic.raise('undoing', this.asBefore(look, regions));
      const nodes = look.service.nodes
        .filter(({ region }) => away.has(region))
        .map(({ node }) => node);
      const wanted = { stance: 'announce', way: 'atLeast', revision } as const;
      const back = await traffic.follow('undoing', nodes, wanted, 1);
      if (back.length === 0) {
        const names = [...this.raised].join(', ') || 'the others';
        return `${regions.join(', ')} does not announce yet, so ${names} goes on`;
      }
      away.clear();
    }
    return this.lowerBackups();
  }

  /** By weight, and no node apart. */
  private asBefore({ service }: ServiceLook, regions: string[]) {
    const apart = Object.keys(service.nodeTraffic ?? {});
    return { ...all(regions, null), nodes: Object.fromEntries(apart.map((n) => [n, null])) };
  }
}

const noService = (service: string): ApplicationFailure => {
  const problem = `there is no service ${service}`;
  return refuse({ code: 'InvalidInput', problems: [problem] }, `Invalid input: ${problem}.`);
};

const noHeadroom = (why: string): ApplicationFailure =>
  ApplicationFailure.create({
    type: 'NoHeadroom',
    message: `No headroom: ${why}`,
    nonRetryable: true,
  });
