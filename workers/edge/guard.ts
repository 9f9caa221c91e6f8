/**
 * All of the agent but its Temporal worker. In this order, so that the host is guarded first: own
 * socket (one agent a host), state directory, kernel; then the controller, who may be away.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EdgePort } from '../../activities/edge';
import { serveEdgeLocal } from '../../adapters/edge-local/server';
import { BlobStore } from '../../adapters/state/blobs';
import { auditTo, createLogger, type Logger } from '../../adapters/telemetry/logger';
import type { Up } from '../../adapters/edge-stream/proto';
import { serveMetrics, type MetricsServer } from '../../adapters/telemetry/metrics';
import type { Input } from '../../core/edge/types';
import type { EdgeStatus } from '../../core/model/messages';
import type { HostEvent, HostPort } from '../../core/model/host';
import type { EdgeConfig } from '../config/edge';
import { Agent, portOf } from './agent';
import { gathered } from './events';
import { AgentFiles } from './files';
import { collectFilterMetrics } from './filter-metrics';
import { FilterWork } from './filter-work';
import { HostWork } from './host-work';
import { trackLatency } from './latency';
import { localPort, type LocalParts } from './local';
import { createEdgeMetrics, type EdgeMetrics } from './metrics';
import { Problems } from './problems';
import { openRouting, routingOf } from './routing-open';
import { Stream } from './stream';

export interface Guard {
  /** For the activities of this edge. */
  port: EdgePort;
  log: Logger;
  metrics: EdgeMetrics;
  /** Who owns this edge, as heard, and who else there is. */
  stream: Pick<Stream, 'primary' | 'learned' | 'gateway' | 'renew' | 'onChange'>;
  /** Whether a worker polls, as status shows it. */
  temporal: EdgeStatus['temporal'];
  /** Lets a job under way end, and leaves the host as it is. */
  stop(): Promise<void>;
}

const agentVersion = (
  JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')) as { version: string }
).version;

/** Where the lists lie; the host reads them from there. */
export const blobsOf = ({ stateDirectory }: Pick<EdgeConfig, 'stateDirectory'>): BlobStore =>
  new BlobStore(join(stateDirectory, 'chunks'));

/** Resolves once the host is guarded. Rejects where another agent guards it. */
export async function startGuard(
  config: EdgeConfig,
  host: HostPort,
  blobs: BlobStore = blobsOf(config),
): Promise<Guard> {
  const { node } = config;
  const log = createLogger(config.logLevel, { node });
  const metrics = createEdgeMetrics();
  const problems = new Problems(log, metrics);
  const files = new AgentFiles(config.stateDirectory, problems);
  const temporal: EdgeStatus['temporal'] = { connected: false };
  let agent: Agent;
  const send = (message: Up): boolean => stream.send(message);
  let guarded: (parts: LocalParts) => void = () => undefined;
  const ready = new Promise<LocalParts>((resolve) => (guarded = resolve));
  const serving = { node, port: localPort(ready), audit: auditTo(log) };
  const local = await serveEdgeLocal(config.socket, serving);
  const remembered = await files.load();
  const told = (specHash: string, pending: string | null): void =>
    agent.put({ kind: 'filtersTold', specHash, pending });
  const knowsDeltas = (): boolean => stream.knowsDeltas;
  const filling = { config, host, blobs, files, problems, metrics, send, told, knowsDeltas };
  const filterWork = await FilterWork.open(filling, remembered.filters);
  const onEvent = hostEvents(metrics, () => [routing, agent]);
  const hands = { host, files, onEvent, problems, log, metrics };
  const hostWork = new HostWork(hands, remembered.ledger);
  const identity = { incarnation: remembered.incarnation, agentVersion };
  const routingHands = { files, filterWork, hostWork, log, metrics };
  const routing = openRouting(config, routingHands, remembered.routing, send);
  const doors = { lists: filterWork, host, routing, problems };
  const stream = new Stream(config, identity, () => agent, doors, log, metrics);
  const shellStatus = () => ({
    ...identity,
    controller: stream.link,
    temporal,
    problems: problems.list(),
    filters: filterWork.filters.status(),
    ...routingOf(routing),
  });
  agent = new Agent(
    { node, files, host: hostWork, filters: filterWork, routing, log, metrics, send, shellStatus },
    remembered,
  );
  agent.put({ kind: 'started' });
  guarded({ agent, files, filterWork, host, routing });
  filterWork.start();
  collectFilterMetrics(metrics.registry, host);
  log.info({ ...identity, revision: agent.accepted?.spec.revision ?? null }, 'guarding the host');
  const latency = trackLatency(() => agent.accepted?.spec ?? null, metrics.registry, problems);
  stream.onChange(() => filterWork.learnControllers(stream.learned.map(({ address }) => address)));
  stream.start();
  const scrape = await serveScrapes(config, metrics, problems);
  return {
    port: portOf(agent),
    stream,
    log,
    metrics,
    temporal,
    stop: () =>
      inOrder(
        // What it remembers goes to the disk with what the agent does.
        () => routing.stop(),
        () => Promise.all([agent.stop(), latency.stop()]),
        () => stream.close(),
        () => filterWork.close(),
        () => hostWork.close(),
        () => Promise.all([scrape?.close(), local.close()]),
      ),
  };
}

async function inOrder(...steps: readonly (() => unknown)[]): Promise<void> {
  for (const step of steps) await step();
}

/** Counts what the host tells, and hands it on to each. */
function hostEvents(
  metrics: EdgeMetrics,
  each: () => { put(input: Extract<Input, { kind: 'hostEvent' }>): void }[],
): (event: HostEvent) => void {
  const told = gathered((event, suspect) => {
    for (const hears of each()) hears.put({ kind: 'hostEvent', event, suspect });
  });
  return (event) => {
    metrics.hostEvents.inc({ what: event.what });
    told(event);
  };
}

/** Without its metrics the host is guarded all the same. */
const serveScrapes = (
  { metricsListen }: EdgeConfig,
  { registry }: EdgeMetrics,
  problems: Problems,
): Promise<MetricsServer | null> =>
  serveMetrics(metricsListen, registry).catch((error: Error) => {
    problems.set('metrics', `no metrics on ${metricsListen}: ${error.message}`);
    return null;
  });
