/** All simulated edges of one process: started one after another, looked at and broken together. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SimPort, SimStatus } from '../../adapters/sim/control';
import type { Logger } from '../../adapters/telemetry/logger';
import type { EdgeStatus } from '../../core/model/messages';
import type { SimConfig } from '../config/sim';
import { createEdgeMetrics, type EdgeMetrics } from '../edge/metrics';
import { openSimEdge, type SimEdge } from './edge';
import { SimActivities } from './activities';

/** So that starting the process is no storm: 2,000 edges in two processes come within five seconds. */
const STARTED_AT_ONCE = 10;
const START_EVERY_MS = 50;

const { version } = JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')) as {
  version: string;
};

export class Fleet implements SimPort {
  readonly metrics: EdgeMetrics = createEdgeMetrics();
  private readonly edges: SimEdge[] = [];
  private readonly activities: SimActivities[] = [];
  /** Of the last drift. */
  private broken: SimEdge[] = [];
  private brokenAtMs: number | null = null;
  private stopped = false;

  constructor(
    private readonly config: SimConfig,
    private readonly log: Logger,
  ) {}

  /** Resolves when all have been started. */
  async start(): Promise<void> {
    const { config, log, metrics } = this;
    const incarnation = Math.floor(Date.now() / 1000);
    for (const [i, node] of config.nodes.entries()) {
      const agentVersion = `${version}-simulated`;
      const edge = await openSimEdge({ node, config, agentVersion, incarnation, log, metrics });
      if (this.stopped) return edge.close();
      this.edges.push(edge);
      edge.start();
      this.activities.push(new SimActivities(edge, metrics));
      if (i % STARTED_AT_ONCE === STARTED_AT_ONCE - 1) await sleep(START_EVERY_MS);
    }
  }

  stop(): void {
    this.stopped = true;
    for (const activities of this.activities) activities.close();
    for (const edge of this.edges) edge.close();
  }

  drift(count: number): number {
    this.brokenAtMs = Date.now();
    this.broken = this.edges.filter((edge) => edge.status().accepted !== null).slice(0, count);
    this.broken = this.broken.filter((edge) => edge.drift());
    return this.broken.length;
  }

  status(): SimStatus {
    const all = new Map(this.edges.map((edge) => [edge, edge.status()]));
    const each = [...all.values()];
    const mended = this.broken.flatMap((edge) => repairSince(all.get(edge), this.brokenAtMs));
    const by = (who: 'workflow' | 'agent'): number =>
      mended.filter((repair) => repair.by === who).length;
    return {
      edges: this.config.nodes.length,
      connected: each.filter(({ controller }) => controller.connected).length,
      polling: each.filter(({ temporal }) => temporal.connected).length,
      controllers: counted(each.flatMap(({ controller }) => nameOf(controller.address) ?? [])),
      settled: each.filter(isSettled).length,
      phases: counted(each.map(({ accepted }) => accepted?.phase ?? '')),
      incidents: each.filter(({ incident }) => incident !== null).length,
      frozen: each.filter(({ frozen }) => frozen.global).length,
      drift: {
        edges: this.broken.length,
        atMs: this.brokenAtMs,
        repaired: { workflow: by('workflow'), agent: by('agent') },
        repairedInMs: mended.flatMap(({ repairedInMs }) => repairedInMs ?? []),
        over: this.broken.filter((edge) => all.get(edge)?.incident === null).length,
        unsent: this.broken.reduce((sum, edge) => sum + edge.unsent(), 0),
      },
    };
  }
}

type Repair = NonNullable<EdgeStatus['lastRepair']>;

function repairSince(status: EdgeStatus | undefined, sinceMs: number | null): Repair[] {
  const repair = status?.lastRepair;
  return repair && sinceMs !== null && repair.atMs >= sinceMs ? [repair] : [];
}

const isSettled = ({ accepted, appliedHash, findings, incident }: EdgeStatus): boolean =>
  accepted?.phase === 'active' &&
  accepted.hash === appliedHash &&
  findings.length === 0 &&
  incident === null;

/** `ctl-1 (198.18.3.1:7700)` is how a stream tells whom it has reached. */
const nameOf = (address: string | null): string | null => address?.split(' ')[0] ?? null;

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
