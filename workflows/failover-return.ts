/** The way back of a failover: hold-down, one node first, then the rest, then the backups go. */
import { strengths } from '../core/failover/plan';
import type { FailoverNews } from './failover-news';
import type { FailoverRun } from './failover-run';
import type { RoutingSteps } from './routing-steps';

/** A return that did not hold doubles the next hold-down, up to this. */
const HOLD_DOWN_MAX_MS = 3_600_000;

export class FailoverReturn {
  constructor(
    private readonly run: FailoverRun,
    private readonly steps: RoutingSteps,
    private readonly news: FailoverNews,
  ) {}

  /** One thing: a wait for news, a hold-down, or a return. */
  async next(): Promise<void> {
    const { news, run, steps } = this;
    const hand = news.takeHand();
    if (hand !== null) {
      for (const region of run.regionsAway) await this.giveBack(region, hand.by);
      return;
    }
    const well = run.regionsAway.find((region) => news.upSince(region) !== null);
    if (well === undefined) {
      steps.say('failedOver');
      await run.changed(null);
      return;
    }
    const atMs = (news.upSince(well) ?? 0) + this.holdDownMs(well);
    steps.say('holdDown', { what: `return of ${well}`, atMs });
    const leftMs = atMs - Date.now();
    if (leftMs > 0 && ((await run.changed(leftMs)) || Date.now() < atMs)) return;
    await this.giveBack(well, null);
  }

  private holdDownMs(region: string): number {
    const doubled = this.run.timings.holdDownMs * 2 ** (this.run.relapses[region] ?? 0);
    return Math.min(doubled, Math.max(HOLD_DOWN_MAX_MS, this.run.timings.holdDownMs));
  }

  private async giveBack(region: string, by: string | null): Promise<void> {
    const { run, news } = this;
    const now = Date.now();
    if (by !== null) news.set({ region, atMs: now, state: 'up', what: `wanted by ${by}` });
    const held = await this.stages(region);
    if (held) return run.gaveBack(region);
    run.relapsed(region);
    if (news.isPlanned(region) || news.isDown(region)) return;
    // It was not told to be down, so nobody will tell that it is well: the hold-down begins anew.
    const what = 'its return did not hold';
    news.set({ region, atMs: Date.now(), state: 'up', what });
  }

  /** False: it did not hold, and is away again. */
  private async stages(region: string): Promise<boolean> {
    const { run } = this;
    const { traffic } = run;
    const look = await traffic.look([region]);
    const here = strengths(look.service, look.said).find((each) => each.region === region);
    const nodes = here && here.able.length > 0 ? here.able : (here?.nodes ?? []);
    const [first] = nodes;
    if (first === undefined || here?.weight === 0) {
      // A backup that failed has only its command to lose.
      await traffic.raise('returning', { regions: { [region]: null } });
      return true;
    }
    const wanted = { stance: 'announce', way: 'atLeast' } as const;
    const one = await traffic.raise('returning', { regions: {}, nodes: { [first]: 'announce' } });
    const started = await traffic.follow('returning', [first], { ...wanted, ...one });
    if (started.length === 0 || !(await this.holds(region))) return this.again(region, first);
    await traffic.peers('returning', look, [first], 'announced');
    const rest = { regions: { [region]: null }, nodes: { [first]: null } };
    const whole = await traffic.raise('returning', rest);
    const back = await traffic.follow('returning', nodes, { ...wanted, ...whole });
    if (back.length === 0 || !(await this.holds(region))) return this.again(region, first);
    return true;
  }

  private async holds(region: string): Promise<boolean> {
    const { stageMs } = this.run.timings;
    const fell = await this.news.falls(region, stageMs);
    const evidence = fell ? this.news.whatOf(region) : `${stageMs} ms without a failure`;
    await this.run.traffic.note('returning', 'the return holds', { evidence, verified: !fell });
    return !fell;
  }

  private async again(region: string, first: string): Promise<false> {
    const order = { regions: { [region]: 'withdraw' as const }, nodes: { [first]: null } };
    await this.run.traffic.lowerIfMay('breaking', order);
    return false;
  }
}
