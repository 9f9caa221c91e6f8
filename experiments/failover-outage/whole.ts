/** What takes a whole Aether: agents restarted, edges drained, a region that dies. Needs root. */
import { setTimeout as delay } from 'node:timers/promises';
import type { AnycastServiceSpec } from '../../core/model/anycast';
import { agentOf } from '../../lab/declare';
import { cut, heal } from '../../lab/cuts';
import { SERVICE, echoService, speakingNode } from '../../lab/testing';
import type { TestLab } from '../../lab/testing';
import { CLIENT, routerOfNode } from '../../lab/topology';
import { eventually } from '../../lab/wait';
import type { Figure } from '../common/figures';
import { withLab } from '../common/lab';
import { PORT } from './net';
import { Echo, Probe, total } from './probe';

const NODES = ['fra-1', 'ams-1', 'nyc-1', 'iad-1'].map((name, i) =>
  speakingNode(name, i + 1, i >> 1),
);
const NAMES = NODES.map(({ metadata }) => metadata.name);
/** By which echo an edge answers. */
const TAGS = 'abcd';
/** The first region is nearer to the client. */
const HOME = { names: NAMES.slice(0, 2), tags: TAGS.slice(0, 2) };
const ABROAD = { names: NAMES.slice(2), tags: TAGS.slice(2) };
const RESTARTS = 3;
const SETTLED = { within: 90_000 };
const MOVED_WITHIN_MS = 20_000;
const CALM_MS = 500;

export interface Whole {
  agentRestarts: number[];
  drains: number[];
  /** Both regions announce: BGP alone moves the traffic. */
  regions: Died[];
  /** The other region stands by: a workflow has to make it announce. */
  backups: Died[];
}

/** ms: all that was lost, and until the router knew that both edges were gone. */
interface Died {
  lost: number;
  detection: number;
}

class House {
  private constructor(
    private readonly under: TestLab,
    private readonly echoes: readonly Echo[],
  ) {}

  static async open(under: TestLab): Promise<House> {
    using admin = under.admin();
    await admin.apply(NODES, null);
    for (const node of NODES) await under.settled(node, SETTLED.within);
    const echoes = await Promise.all(
      NAMES.map((name, i) => {
        const { argv } = under.lab.command(name, ['ip', 'netns', 'exec', 'edge']);
        return Echo.start(argv, SERVICE.ipv4, PORT, TAGS[i] ?? '');
      }),
    );
    return new House(under, echoes);
  }

  async close(): Promise<void> {
    await Promise.all(this.echoes.map((echo) => echo.stop()));
  }

  /** Announced by these and no other. */
  async announced(by: readonly string[], regions: AnycastServiceSpec['regions']): Promise<void> {
    using admin = this.under.admin();
    await admin.apply([{ ...echoService, spec: { ...echoService.spec, regions } }], null, true);
    const isSo = async (): Promise<boolean> => {
      const [view] = await admin.getServices(echoService.metadata.name);
      return view !== undefined && [...view.announcers].sort().join() === [...by].sort().join();
    };
    await eventually(`${by.join(', ')} announce`, isSo, { ...SETTLED, times: 5 });
  }

  /** Packets lost while `work` is done, from when one of `tags` serves. */
  async probed(tags: string, work: (probe: Probe) => Promise<void>): Promise<number> {
    const { argv } = this.under.lab.command(CLIENT, []);
    const probe = new Probe(argv, SERVICE.ipv4, PORT);
    try {
      await probe.answeredBy(tags, SETTLED.within);
      await delay(CALM_MS);
      await work(probe);
    } finally {
      await delay(CALM_MS);
    }
    return total(await probe.stop());
  }

  async restartAgent(name: string): Promise<number> {
    const { lab } = this.under;
    return this.probed(HOME.tags, async () => {
      const former = lab.process(agentOf(name))?.pid;
      lab.kill(agentOf(name), 'SIGTERM');
      const isBack = async (): Promise<boolean> => {
        const { pid } = lab.process(agentOf(name)) ?? {};
        if (pid === undefined || pid === former) return false;
        return (await this.under.view(name)).converged;
      };
      await eventually(`${name}: the agent is back`, isBack, SETTLED);
      await delay(CALM_MS * 4); // its first look at all is behind it
    });
  }

  /** All links of the home region are cut at once; they stay so. */
  async die(): Promise<Died> {
    const { lab } = this.under;
    const [first] = NODES;
    if (first === undefined) throw new Error('There are no nodes');
    const router = lab.router(routerOfNode(first));
    const upAtHome = async (): Promise<number> =>
      (await router.bfd()).filter(({ up, address }) => up && /^198\.19\.0\.[26]$/.test(address))
        .length;
    let detection = 0;
    const lost = await this.probed(HOME.tags, async (probe) => {
      await Promise.all(HOME.names.map((name) => cut(lab, name, 'silent')));
      const began = performance.now();
      await eventually('the router knows', async () => (await upAtHome()) === 0, {
        within: MOVED_WITHIN_MS,
        every: 5,
      });
      detection = performance.now() - began;
      await probe.answeredBy(ABROAD.tags, MOVED_WITHIN_MS).catch(() => undefined);
    });
    return { lost, detection };
  }

  async healAll(): Promise<void> {
    for (const name of HOME.names) await heal(this.under.lab, name);
  }

  async drain(): Promise<number> {
    const { lab } = this.under;
    return this.probed(ABROAD.tags, async (probe) => {
      const node = NAMES[TAGS.indexOf(probe.answering ?? '')] ?? '';
      using admin = this.under.admin();
      const { workflowId } = await admin.route({
        verb: 'drain',
        node,
        service: null,
        from: null,
        to: null,
        reason: 'measured',
        force: false,
        forMs: 0,
      });
      const isDrained = async (): Promise<boolean> =>
        (await admin.routeProgress(workflowId)).progress?.state === 'drained';
      await eventually(`${node} is drained in ${lab.stateDir}`, isDrained, SETTLED);
    });
  }
}

async function oneLab(): Promise<Whole> {
  return withLab(NODES, { etcds: 1 }, async (under) => {
    const house = await House.open(under);
    const whole: Whole = { agentRestarts: [], drains: [], regions: [], backups: [] };
    try {
      await house.announced(NAMES, []);
      for (let i = 0; i < RESTARTS; i++) {
        whole.agentRestarts.push(await house.restartAgent(HOME.names[i % 2] ?? ''));
      }
      whole.regions.push(await house.die());
      await house.healAll();
      const [home = '', abroad = ''] = [NODES[0], NODES[2]].map((node) => node?.metadata.region);
      await house.announced(HOME.names, [
        { name: home, weight: 100 },
        { name: abroad, weight: 0 },
      ]);
      whole.backups.push(await house.die());
      whole.drains.push(await house.drain());
      return whole;
    } finally {
      await house.close();
    }
  });
}

export async function wholes(count: number): Promise<Whole> {
  const all: Whole[] = [];
  for (let i = 0; i < count; i++) all.push(await oneLab());
  return {
    agentRestarts: all.flatMap((one) => one.agentRestarts),
    drains: all.flatMap((one) => one.drains),
    regions: all.flatMap((one) => one.regions),
    backups: all.flatMap((one) => one.backups),
  };
}

const WHOLE_MS = 1_500;
/** Of that, less the median of what detection takes with the RFC's jitter. */
const AFTERWARDS_MS = 730;

export function figuresOfWhole({ agentRestarts, drains, regions, backups }: Whole): Figure[] {
  const figure = (claim: string, unit: string, bar: Figure['bar'], samples: number[]): Figure => ({
    claim,
    unit,
    bar,
    samples,
    peer: null,
  });
  const none = { measure: 'max', atMost: 0 } as const;
  const died = (what: string, found: readonly Died[]): Figure[] => [
    figure(
      `${what}: packets lost, one a ms`,
      'ms',
      { measure: 'max', atMost: WHOLE_MS },
      found.map(({ lost }) => lost),
    ),
    figure(
      `${what}: of these, after the router's BFD (300 ms × 3) knew`,
      'ms',
      { measure: 'max', atMost: AFTERWARDS_MS },
      found.map(({ lost, detection }) => lost - detection),
    ),
  ];
  return [
    figure('An agent is restarted: packets lost', 'packets', none, agentRestarts),
    figure('An edge that serves is drained: packets lost', 'packets', none, drains),
    ...died('A region dies, another one announces as well', regions),
    ...died('A region dies, another one stands by as a backup', backups),
  ];
}
