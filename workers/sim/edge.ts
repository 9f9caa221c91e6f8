/**
 * One simulated edge: the agent as it is (machine, looks, reconcile, filters, stream), on a host in
 * memory. What it has not: a disk (a restart is a new machine), routing, a socket of its own.
 */
import { join } from 'node:path';
import { createEdgeActivities } from '../../activities/edge';
import type { Up } from '../../adapters/edge-stream/proto';
import { BlobStore } from '../../adapters/state/blobs';
import type { Logger } from '../../adapters/telemetry/logger';
import { EMPTY_MEMORY } from '../../core/edge/types';
import { EMPTY_LEDGER } from '../../core/model/host';
import type { EdgeStatus } from '../../core/model/messages';
import type { EdgeConfig } from '../config/edge';
import type { SimConfig } from '../config/sim';
import { Agent, portOf } from '../edge/agent';
import { gathered } from '../edge/events';
import { EMPTY_FILTERS_NOTE } from '../edge/files';
import { FilterWork } from '../edge/filter-work';
import { HostWork } from '../edge/host-work';
import type { EdgeMetrics } from '../edge/metrics';
import { Problems } from '../edge/problems';
import { Stream } from '../edge/stream';
import { MemoryHost } from './memory-host';

export interface SimEdgeParts {
  node: string;
  config: SimConfig;
  /** Of the process, for its log and the status of its edges. */
  agentVersion: string;
  incarnation: number;
  log: Logger;
  /** Shared by all edges of the process: counters and histograms add up, gauges say nothing. */
  metrics: EdgeMetrics;
}

export interface SimEdge {
  readonly node: string;
  readonly activities: ReturnType<typeof createEdgeActivities>;
  readonly temporal: { connected: boolean };
  readonly tls: EdgeConfig['tls'];
  readonly stream: Pick<Stream, 'gateway' | 'onChange'>;
  start(): void;
  status(): EdgeStatus;
  /** Somebody deletes the first link that the spec asks for; false where there is none. */
  drift(): boolean;
  /** Records of its own repairs that nobody has acknowledged. */
  unsent(): number;
  close(): void;
}

/** What is not in memory of a real agent's files. */
const FILES = {
  saveSpec: async (): Promise<null> => null,
  saveMemory: (): void => undefined,
  saveLedger: async (): Promise<void> => undefined,
  saveFilters: async (): Promise<null> => null,
  flushed: async (): Promise<void> => undefined,
};

const NO_ROUTING = {
  set: (): void => undefined,
  connected: (): void => undefined,
  acknowledged: (): void => undefined,
};

export async function openSimEdge(parts: SimEdgeParts): Promise<SimEdge> {
  const { node, config, metrics, agentVersion, incarnation } = parts;
  const log = parts.log.child({ node });
  const host = new MemoryHost();
  const blobs = new BlobStore(join(config.stateDirectory, 'chunks', node));
  const problems = new Problems(log, metrics);
  const temporal = { connected: false };
  let agent: Agent;
  const send = (message: Up): boolean => stream.send(message);
  const told = (specHash: string, pending: string | null): void =>
    agent.put({ kind: 'filtersTold', specHash, pending });
  const filling = {
    config: { ...config, failsafe: [] },
    host,
    blobs,
    files: FILES,
    problems,
    metrics,
    send,
    told,
    knowsDeltas: () => stream.knowsDeltas,
  };
  const filterWork = await FilterWork.open(filling, EMPTY_FILTERS_NOTE);
  const tell = gathered((event, suspect) => agent.put({ kind: 'hostEvent', event, suspect }));
  const hands = { host, files: FILES, onEvent: tell, problems, log, metrics };
  const hostWork = new HostWork(hands, EMPTY_LEDGER);
  const identity = { incarnation, agentVersion };
  const doors = { lists: filterWork, host, routing: NO_ROUTING, problems };
  const tls = credentialsOf(config, node);
  const dials = { controllers: config.controllers, tls };
  const stream: Stream = new Stream(dials, identity, () => agent, doors, log, metrics);
  const shellStatus = () => ({
    ...identity,
    controller: stream.link,
    temporal,
    problems: problems.list(),
    filters: filterWork.filters.status(),
  });
  const agentParts = { node, files: FILES, host: hostWork, filters: filterWork, log, metrics };
  agent = new Agent(
    { ...agentParts, routing: NO_ROUTING, send, shellStatus },
    { accepted: null, memory: EMPTY_MEMORY },
  );
  return {
    node,
    activities: createEdgeActivities(portOf(agent)),
    temporal,
    tls,
    stream,
    start: () => {
      agent.put({ kind: 'started' });
      filterWork.start();
      stream.start();
    },
    status: () => agent.status(),
    drift: () => {
      const link = agent.accepted?.spec.namespaces[0]?.links[0]?.name;
      return link !== undefined && host.deleteLink(link);
    },
    unsent: () => agent.memory.unsent.length,
    close: () => {
      stream.close();
      hostWork.close();
    },
  };
}

const credentialsOf = ({ certificates }: SimConfig, node: string): EdgeConfig['tls'] => ({
  ca: join(certificates, 'ca.pem'),
  cert: join(certificates, 'edge', `${node}.pem`),
  key: join(certificates, 'edge', `${node}.key`),
});
