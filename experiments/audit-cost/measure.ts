/** One cluster of N nodes that are as they shall be: what rest costs, and what an audit costs. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { EtcdClient } from '../../adapters/etcd/client';
import { keys } from '../../core/model/keys';
import { valueText } from '../../core/model/values';
import { shardOf } from '../../core/ring/shard';
import { Cluster } from '../../workers/controller/testing/cluster';
import { nodeResource } from '../../workers/controller/testing/resources';
import { until } from '../../workflows/testing/until';
import type { AuditSummary } from '../../workflows/audit-nodes';
import { QuietEdges } from './edges';

export interface AuditCost {
  nodes: number;
  shardsWithNodes: number;
  /** Between audits. */
  rest: { seconds: number; workflowsStarted: number; historyEvents: number };
  audits: Audit[];
}

/** Counted in the history of one run of `auditNodes`. */
export interface Audit {
  checked: number;
  differing: number;
  unaudited: number;
  /** By activity type. */
  activities: Record<string, number>;
  localActivities: number;
  timers: number;
  events: number;
  historyBytes: number;
  tookMs: number;
  /** User and system time of the controller's process. */
  controllerCpuMs: number;
}

export interface Plan {
  nodes: number;
  restSeconds: number;
  audits: number;
}

/** Nodes an apply takes at once. */
const CHUNK = 50;

export async function measure(plan: Plan): Promise<AuditCost> {
  const endings: (() => unknown)[] = [];
  const after = (ending: () => unknown): void => void endings.unshift(ending);
  try {
    const cluster = await Cluster.start({ after });
    await cluster.startController({ AETHER_AUDIT_EVERY: '12h', AETHER_LOG_LEVEL: 'info' });
    await cluster.ready();
    const edges = new QuietEdges();
    after(() => edges.close());
    const names = await declare(cluster, plan.nodes);
    await edges.connect(cluster, names);
    await allConverged(cluster, plan.nodes);
    const address = cluster.temporal?.address ?? '';
    const connection = await Connection.connect({ address });
    after(() => connection.close());
    const temporal = new Client({ connection });
    const cost: AuditCost = {
      nodes: plan.nodes,
      shardsWithNodes: new Set(names.map(shardOf)).size,
      rest: await rest(temporal, plan.restSeconds),
      audits: [],
    };
    for (let i = 0; i < plan.audits; i++) cost.audits.push(await audit(cluster, temporal));
    // The last one has something to find: an audit that finds nothing may not have looked.
    edges.lie(names[0] ?? '');
    cost.audits.push(await audit(cluster, temporal));
    return cost;
  } finally {
    for (const ending of endings) await ending();
  }
}

/**
 * Nodes that are active already, as after their onboarding: the phase is there before the node, so
 * nobody sees one that has none.
 */
async function declare(cluster: Cluster, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `sim-${i}`);
  const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'experiment' });
  for (let i = 0; i < count; i += CHUNK) {
    const chunk = names.slice(i, i + CHUNK);
    const value = valueText({ phase: 'active' });
    await etcd.write(
      [],
      chunk.map((name) => ({ op: 'put', key: keys.phase(name), value })),
    );
    await cluster.admin.apply(
      chunk.map((name, j) => numbered(name, i + j)),
      null,
    );
  }
  etcd.close();
  return names;
}

/** A node whose addresses are its own, among 16,384. */
function numbered(name: string, index: number) {
  const resource = nodeResource(name, 0);
  const text = JSON.stringify(resource).replaceAll(
    /10\.77\.0\.([12])/g,
    (_, host: string) => `10.77.${index >> 6}.${((index & 63) << 2) + Number(host)}`,
  );
  return JSON.parse(text) as typeof resource;
}

const allConverged = (cluster: Cluster, count: number): Promise<boolean> => {
  const admin = cluster.admin;
  return until(
    `${count} nodes are as they shall be`,
    async () => {
      const { nodes, shardsOwned } = await admin.status();
      return shardsOwned > 0 && nodes?.connected === count && nodes.converged === count;
    },
    60_000,
  );
};

async function rest(temporal: Client, seconds: number): Promise<AuditCost['rest']> {
  const before = await totals(temporal);
  await sleep(seconds * 1000);
  const now = await totals(temporal);
  return {
    seconds,
    workflowsStarted: now.workflows - before.workflows,
    historyEvents: now.events - before.events,
  };
}

/** Of all workflows that the namespace knows. */
async function totals(temporal: Client): Promise<{ workflows: number; events: number }> {
  let [workflows, events] = [0, 0];
  for await (const { workflowId, runId } of temporal.workflow.list()) {
    const { historyLength } = await temporal.workflow.getHandle(workflowId, runId).describe();
    workflows += 1;
    events += historyLength;
  }
  return { workflows, events };
}

async function audit(cluster: Cluster, temporal: Client): Promise<Audit> {
  const before = new Set(await auditRuns(temporal));
  const cpuMs = cpuOf(cluster.controller.pid ?? 0);
  await cluster.admin.audit();
  const started = await until(
    'an audit has begun',
    async () => (await auditRuns(temporal)).find((run) => !before.has(run)),
    30_000,
  );
  const [workflowId = '', runId = ''] = started.split('@');
  const handle = temporal.workflow.getHandle(workflowId, runId);
  const { checked, differing, unaudited } = (await handle.result()) as AuditSummary;
  const controllerCpuMs = cpuOf(cluster.controller.pid ?? 0) - cpuMs;
  const { events } = await handle.fetchHistory();
  const activities: Record<string, number> = {};
  let [localActivities, timers] = [0, 0];
  for (const event of events ?? []) {
    const type = event.activityTaskScheduledEventAttributes?.activityType?.name;
    if (type) activities[type] = (activities[type] ?? 0) + 1;
    if (event.markerRecordedEventAttributes?.markerName === 'core_local_activity') {
      localActivities += 1;
    }
    if (event.timerStartedEventAttributes) timers += 1;
  }
  const { startTime, closeTime, historySize } = await handle.describe();
  return {
    checked,
    differing,
    unaudited: unaudited.length,
    activities,
    localActivities,
    timers,
    events: events?.length ?? 0,
    historyBytes: historySize ?? 0,
    tookMs: (closeTime?.getTime() ?? NaN) - startTime.getTime(),
    controllerCpuMs,
  };
}

async function auditRuns(temporal: Client): Promise<string[]> {
  const runs: string[] = [];
  const query = `WorkflowType = 'auditNodes'`;
  for await (const { workflowId, runId } of temporal.workflow.list({ query })) {
    runs.push(`${workflowId}@${runId}`);
  }
  return runs;
}

/** /proc/<pid>/stat, fields 14 and 15, at the usual 100 ticks a second. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
