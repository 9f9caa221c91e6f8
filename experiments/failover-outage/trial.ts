/** One trial: a router and two edges of one kind, of which the first is the better way, and is lost. */
import { setTimeout as delay } from 'node:timers/promises';
import { startRouter } from '../../lab/routers';
import type { Router, RouterKind } from '../../lab/routers';
import { eventually } from '../../lab/wait';
import { AetherEdge } from './aether';
import { LINKS, PORT, SERVICE, inflict, makeNet, removeNet } from './net';
import type { Fault, Net } from './net';
import { Echo, Probe, total } from './probe';
import type { Lost } from './probe';

export type EdgeKind = 'aether' | RouterKind;

export interface Setting {
  router: 'bird' | 'frr';
  edge: EdgeKind;
  intervalMs: number;
}

export const MULTIPLIER = 3;
const ROUTER_ASN = 64_500;
const SETTLED_WITHIN_MS = 40_000;
/** Long enough for every BFD timer here to expire several times; what is lost until then counts. */
const MOVED_WITHIN_MS = 6_000;
const CALM_MS = 300;
const PREFIX = `${SERVICE}/32`;

interface Stoppable {
  stop(): Promise<unknown>;
}

const within = (namespace: string): string[] => ['ip', 'netns', 'exec', namespace];

let trials = 0;

export class Trial {
  private readonly parts: Stoppable[] = [];
  private constructor(
    readonly setting: Setting,
    readonly net: Net,
  ) {}

  router!: Router;
  readonly edges: (AetherEdge | Router)[] = [];

  /** Resolves when both edges' sessions are up as configured and the first one is the way. */
  static async start(setting: Setting): Promise<Trial> {
    const trial = new Trial(setting, await makeNet(String((trials += 1))));
    try {
      await trial.populate();
      await trial.settled();
      return trial;
    } catch (error) {
      const log = trial.router?.log() ?? '';
      await trial.stop();
      throw new Error(`${JSON.stringify(setting)}: ${(error as Error).message}\n${log}`, {
        cause: error,
      });
    }
  }

  private get bfd(): { intervalMs: number; multiplier: number } {
    return { intervalMs: this.setting.intervalMs, multiplier: MULTIPLIER };
  }

  private async populate(): Promise<void> {
    const { net, bfd } = this;
    const neighbors = LINKS.map(({ edge }, i) => ({ address: edge, asn: 64_501 + i, bfd }));
    this.router = await startRouter(
      this.setting.router,
      { asn: ROUTER_ASN, routerId: '192.0.2.1', neighbors, announce: [], kernel: true },
      { netns: net.router },
    );
    this.parts.push(this.router);
    await Promise.all(
      net.edges.map(async (namespace, i) => {
        const edge = await this.startEdge(namespace, i);
        this.edges[i] = edge;
        this.parts.push(edge);
        this.parts.push(await Echo.start(within(namespace), SERVICE, PORT, 'ab'[i] ?? ''));
      }),
    );
  }

  /** The second one says one AS hop more. */
  private startEdge(namespace: string, i: number): Promise<AetherEdge | Router> {
    const { edge: routerId = '', router = '' } = LINKS[i] ?? {};
    const neighbor = { address: router, asn: ROUTER_ASN };
    const { bfd } = this;
    const common = { asn: 64_501 + i, routerId, prepend: i };
    if (this.setting.edge === 'aether') {
      return AetherEdge.start({ ...common, neighbor, bfd, prefix: PREFIX }, namespace);
    }
    const neighbors = [{ ...neighbor, bfd }];
    const config = { ...common, neighbors, announce: [PREFIX], kernel: false };
    return startRouter(this.setting.edge, config, { netns: namespace });
  }

  private async settled(): Promise<void> {
    const detectTimeMs = this.setting.intervalMs * MULTIPLIER;
    const look = async (): Promise<true> => {
      const [sessions, bfd, [best]] = await Promise.all([
        this.router.sessions(),
        this.router.bfd(),
        this.router.routes(PREFIX),
      ]);
      const good =
        sessions.filter(({ established }) => established).length === 2 &&
        bfd.filter((one) => one.up && one.detectTimeMs === detectTimeMs).length === 2 &&
        best?.nextHop === LINKS[0].edge;
      if (!good) throw new Error(JSON.stringify({ sessions, bfd, best }));
      return true;
    };
    await eventually('both edges are up', look, { within: SETTLED_WITHIN_MS, times: 3 });
  }

  probe(): Probe {
    return new Probe(within(this.net.client), SERVICE, PORT);
  }

  /** Probes while `work` is done, from when the first edge answers. */
  async probed(work: (probe: Probe) => Promise<void>): Promise<Lost> {
    const probe = this.probe();
    try {
      await probe.answeredBy('a', 10_000);
      await delay(CALM_MS);
      await work(probe);
    } finally {
      await delay(CALM_MS);
    }
    return probe.stop();
  }

  /** Packets lost from the fault until the second edge serves; 1 ms each. */
  async lostBy(fault: Fault): Promise<number> {
    const lost = await this.probed(async (probe) => {
      await delay(Math.random() * this.setting.intervalMs);
      await inflict(this.net, fault);
      // One that did not move in time has lost as much as was sent: that is its figure.
      await probe.answeredBy('b', MOVED_WITHIN_MS).catch(() => undefined);
    });
    return total(lost);
  }

  async stop(): Promise<void> {
    await Promise.all(this.parts.map((part) => part.stop()));
    await removeNet(this.net);
  }
}
