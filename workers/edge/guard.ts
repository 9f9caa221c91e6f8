/**
 * All of the agent but its Temporal worker. In this order, so that the host is guarded first: own
 * socket (one agent a host), state directory, kernel; then the controller, who may be away.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EdgePort } from '../../activities/edge';
import { serveEdgeLocal } from '../../adapters/edge-local/server';
import { createLogger, type Logger } from '../../adapters/telemetry/logger';
import { serveMetrics, type MetricsServer } from '../../adapters/telemetry/metrics';
import type { HostEvent, HostPort } from '../../core/model/host';
import type { EdgeConfig } from '../config/edge';
import { Agent } from './agent';
import { gathered } from './events';
import { AgentFiles } from './files';
import { HostWork } from './host-work';
import { localPort } from './local';
import { createEdgeMetrics, type EdgeMetrics } from './metrics';
import { Problems } from './problems';
import { Stream } from './stream';

export interface Guard {
  /** For the activities of this edge. */
  port: EdgePort;
  log: Logger;
  metrics: EdgeMetrics;
  /** Whether a worker polls, as status shows it. */
  temporal: { connected: boolean };
  /** Lets a job under way end, and leaves the host as it is. */
  stop(): Promise<void>;
}

const agentVersion = (
  JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')) as { version: string }
).version;

/** Resolves once the host is guarded. Rejects where another agent guards it. */
export async function startGuard(config: EdgeConfig, host: HostPort): Promise<Guard> {
  const { node } = config;
  const log = createLogger(config.logLevel, { node });
  const metrics = createEdgeMetrics();
  const problems = new Problems(log, metrics);
  const files = new AgentFiles(config.stateDirectory, problems);
  const temporal = { connected: false };
  let agent: Agent;
  const local = await serveEdgeLocal(
    config.socket,
    localPort(() => agent, files),
  );
  const remembered = await files.load();

  const told = gathered((event, suspect) => agent.put({ kind: 'hostEvent', event, suspect }));
  const onEvent = (event: HostEvent): void => {
    metrics.hostEvents.inc({ what: event.what });
    told(event);
  };
  const saveLedger = files.saveLedger.bind(files);
  const hands = { host, saveLedger, onEvent, problems, log, metrics };
  const hostWork = new HostWork(hands, remembered.ledger);
  const identity = { incarnation: remembered.incarnation, agentVersion };
  const stream = new Stream(config, identity, () => agent, log, metrics);
  const shellStatus = () => ({
    ...identity,
    controller: stream.link,
    temporal,
    problems: problems.list(),
  });
  const send = stream.send.bind(stream);
  agent = new Agent({ node, files, host: hostWork, log, metrics, send, shellStatus }, remembered);
  agent.put({ kind: 'started' });
  log.info({ ...identity, revision: agent.accepted?.spec.revision ?? null }, 'guarding the host');

  stream.start();
  const scrape = await serveMetrics(config.metricsListen, metrics.registry).catch(
    (error: Error): MetricsServer | null => {
      problems.set('metrics', `no metrics on ${config.metricsListen}: ${error.message}`);
      return null;
    },
  );
  return {
    port: portOf(agent),
    log,
    metrics,
    temporal,
    stop: async () => {
      await agent.stop();
      stream.close();
      hostWork.close();
      await Promise.all([scrape?.close(), local.close()]);
    },
  };
}

const portOf = (agent: Agent): EdgePort => ({
  reconcile: (request) => agent.request('reconcile', request),
  remove: (request) => agent.request('remove', request),
  noteDecision: async ({ incidentId, decision }) =>
    agent.put({ kind: 'decisionNoted', incidentId, decision }),
  status: async () => agent.status(),
});
