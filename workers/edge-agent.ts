/**
 * The edge agent's process. In this order, so that the host is guarded first: own socket (one agent
 * a host), state directory, kernel; then whoever may be away: controller and Temporal.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serveEdgeLocal } from '../adapters/edge-local/server';
import { openHost } from '../adapters/native/host';
import { createLogger } from '../adapters/telemetry/logger';
import { serveMetrics } from '../adapters/telemetry/metrics';
import type { HostPort } from '../core/model/host';
import { edgeConfig, type EdgeConfig } from './config/edge';
import { ConfigError } from './config/env';
import { Agent } from './edge/agent';
import { AgentFiles } from './edge/files';
import { HostWork } from './edge/host-work';
import { localPort } from './edge/local';
import { createEdgeMetrics } from './edge/metrics';
import { Problems } from './edge/problems';
import { Stream } from './edge/stream';
import { suspectOf } from './edge/suspect';
import { TemporalWorker } from './edge/temporal';

const agentVersion = (
  JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string }
).version;

/** Resolves once the host is guarded; `stop` ends it gracefully. */
export async function startEdgeAgent(
  config: EdgeConfig,
  host: HostPort,
): Promise<{ stop(): Promise<void> }> {
  const { node } = config;
  const log = createLogger(config.logLevel, { node });
  const metrics = createEdgeMetrics();
  const problems = new Problems(log);
  const files = new AgentFiles(config.stateDirectory, problems);
  let agent: Agent;
  const local = await serveEdgeLocal(
    config.socket,
    localPort(() => agent, files),
  );
  const remembered = await files.load();

  const hostWork = new HostWork(
    {
      host,
      saveLedger: (ledger) => files.saveLedger(ledger),
      onEvent: (event) => {
        metrics.hostEvents.inc({ what: event.what });
        agent.put({ kind: 'hostEvent', event, suspect: suspectOf(event.portId) });
      },
      problems,
      log,
      metrics,
    },
    remembered.ledger,
  );
  const identity = { incarnation: remembered.incarnation, agentVersion };
  const stream = new Stream(config, identity, () => agent, log, metrics);
  const temporal = new TemporalWorker(
    node,
    config.temporal,
    {
      reconcile: (request) => agent.request('reconcile', request),
      remove: (request) => agent.request('remove', request),
      noteDecision: async ({ incidentId, decision }) =>
        agent.put({ kind: 'decisionNoted', incidentId, decision }),
      status: async () => agent.status(),
    },
    log,
    metrics,
  );
  const shellStatus = () => ({
    ...identity,
    controller: stream.link,
    temporal: { connected: temporal.connected },
    problems: problems.list(),
  });
  const send = stream.send.bind(stream);
  agent = new Agent({ node, files, host: hostWork, log, metrics, send, shellStatus }, remembered);
  agent.put({ kind: 'started' });
  log.info({ ...identity, revision: agent.accepted?.spec.revision ?? null }, 'guarding the host');

  stream.start();
  temporal.start();
  const scrape = await serveMetrics(config.metricsListen, metrics.registry).catch(
    (error: Error) => {
      problems.set('metrics', `no metrics on ${config.metricsListen}: ${error.message}`);
      return null;
    },
  );
  return {
    stop: async () => {
      log.info('stopping');
      await temporal.stop();
      await agent.stop();
      stream.close();
      hostWork.close();
      await Promise.all([scrape?.close(), local.close()]);
      log.info('stopped');
    },
  };
}

async function main(): Promise<void> {
  const config = edgeConfig(process.env);
  const running = await startEdgeAgent(config, await openHost());
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      running.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error);
          process.exit(1);
        },
      );
    });
  }
}

if (require.main === module) {
  main().catch((error: unknown) => {
    const { message, stack } = error as Error;
    process.stderr.write(`${error instanceof ConfigError ? message : stack}\n`);
    process.exit(error instanceof ConfigError ? 2 : 1);
  });
}
