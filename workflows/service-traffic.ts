/** The announcements of one service by region: what drainService and bgpFailover both do. */
import { CancellationScope, condition, isCancellation, sleep } from '@temporalio/workflow';
import type { Stance } from '../core/model/anycast';
import { factsOf } from '../core/model/errors';
import type { NodeName } from '../core/model/ids';
import type {
  Commanded,
  DrainTimings,
  PlacedService,
  SeenAs,
  Wish,
} from '../core/model/routing-messages';
import type { Way } from '../core/routing/evidence';
import * as announcements from './announcements';
import { TIMINGS } from './announcements';
import { refuse, timedOut } from './failures';
import { commandBy } from './routing-proxies';
import type { Evidence, RoutingSteps } from './routing-steps';

/** Permits are called back, and the governor's window moves on: but traffic may need us meanwhile. */
const GOVERNED_MS = 20_000;

export interface ServiceLook extends announcements.Look {
  service: PlacedService;
}

export interface Order {
  regions: Record<string, Stance | null>;
  nodes?: Record<NodeName, Stance | null>;
}

export class ServiceTraffic {
  readonly timings: Required<DrainTimings>;

  constructor(
    private readonly service: string,
    private readonly wish: Wish,
    private readonly steps: RoutingSteps,
    timings: DrainTimings = {},
  ) {
    this.timings = { ...TIMINGS, ...timings };
  }

  /** `regions` null: all of them are asked about. */
  async look(regions: readonly string[] | null): Promise<ServiceLook> {
    const { service } = this;
    const look = await announcements.lookAround({ service }, ({ services: [placed] }) =>
      placed ? nodesIn(placed, regions) : [],
    );
    const [placed] = look.placed.services;
    if (placed === undefined) {
      const problem = `there is no service ${service}`;
      throw refuse({ code: 'InvalidInput', problems: [problem] }, `Invalid input: ${problem}.`);
    }
    return { ...look, service: placed };
  }

  /** Raises only: nobody is taken away, so it rests on no picture and costs no look. */
  raise(state: string, order: Order): Promise<Commanded> {
    return this.steps.step(state, orderText(order), async () =>
      announcements.told(await this.send(order, null)),
    );
  }

  lower(state: string, order: Order, limitMs: number | null = null): Promise<Commanded> {
    return this.steps.step(state, orderText(order), () =>
      announcements.commandBy(
        () => this.look(Object.keys(order.regions)),
        ({ picture }) => this.send(order, picture, limitMs),
        limitMs ?? undefined,
      ),
    );
  }

  /** As above; null where the governor would not have it: the step says so, and it stays as it is. */
  async lowerIfMay(state: string, order: Order): Promise<Commanded | null> {
    try {
      return await this.lower(state, order, GOVERNED_MS);
    } catch (error) {
      const bound =
        factsOf(error, 'FloorReached') ??
        factsOf(error, 'PermitsOut') ??
        factsOf(error, 'InvalidInput') ??
        (announcements.looksByTime() ? factsOf(error, 'PictureMoved') : null);
      if (bound === null && !timedOut(error)) throw error;
      return null;
    }
  }

  private send(
    order: Order,
    picture: announcements.Look['picture'] | null,
    limitMs: number | null = null,
  ): Promise<Commanded> {
    const { service, wish } = this;
    const { commandTraffic } = commandBy(service, limitMs);
    const { regions, nodes = {} } = order;
    const summary = orderText(order).slice(0, 200);
    return commandTraffic.executeWithOptions({ summary }, [
      { ...wish, service, regions, nodes, picture },
    ]);
  }

  /** Until `need` of them stand so (all, unless said), or the time is up. */
  async follow(
    state: string,
    nodes: readonly NodeName[],
    wanted: { stance: Stance; way: Way; revision: number },
    need = nodes.length,
  ): Promise<NodeName[]> {
    const what = `${need} of ${nodes.length} follow: ${wanted.stance}`;
    const { reached } = await this.steps.step(state, what, () =>
      this.followers(nodes, wanted, need),
    );
    return reached;
  }

  private async followers(
    nodes: readonly NodeName[],
    wanted: { stance: Stance; way: Way; revision: number },
    need: number,
  ): Promise<announcements.Following> {
    const reached: NodeName[] = [];
    const behind: string[] = [];
    const services = [this.service];
    const scope = new CancellationScope();
    const waiting = scope.run(() =>
      Promise.all(
        nodes.map(async (node) => {
          const limitMs = this.timings.followMs;
          const one = await announcements.follow([node], { ...wanted, services }, limitMs);
          if (one.reached.length > 0) reached.push(node);
          else behind.push(one.evidence);
        }),
      ),
    );
    waiting.catch(() => undefined);
    await condition(
      () => reached.length >= need || reached.length + behind.length === nodes.length,
    );
    scope.cancel();
    await waiting.catch((error: unknown) => {
      if (!isCancellation(error)) throw error;
    });
    const evidence = [`${reached.join(', ') || 'none'}`, ...behind.slice(0, 3)].join('; ');
    return { reached, evidence, verified: reached.length >= need };
  }

  /** Without an observer `unseenMs` is given to the peers; the step says that nothing was observed. */
  async peers(state: string, { service }: ServiceLook, nodes: NodeName[], as: SeenAs) {
    const wanted = { prefixes: service.prefixes, nodes, as };
    const { moveMs, unseenMs } = this.timings;
    return this.steps.step(state, `${as} at the peers`, async () => {
      const sight = await announcements.peers(this.service, wanted, moveMs);
      if (!sight.configured) await sleep(unseenMs, { summary: 'peers move, unobserved' });
      return sight;
    });
  }

  async quiet({ service }: ServiceLook, nodes: NodeName[]): Promise<void> {
    await this.steps.step('quieting', 'counters are quiet', () =>
      announcements.quiet(nodes, service.addresses, this.timings),
    );
  }

  /** Something to tell that was found, not done. */
  async note(state: string, what: string, found: Evidence): Promise<void> {
    await this.steps.step(state, what, async () => found);
  }
}

export const nodesIn = ({ nodes }: PlacedService, regions: readonly string[] | null): NodeName[] =>
  nodes
    .filter(({ region }) => regions === null || regions.includes(region))
    .map(({ node }) => node);

function orderText({ regions, nodes = {} }: Order): string {
  const all = [...Object.entries(regions), ...Object.entries(nodes)];
  return `command ${all.map(([name, stance]) => `${name}: ${stance ?? 'by its weight'}`).join(', ')}`;
}
