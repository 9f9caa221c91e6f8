/** Brings a lab up: hosts, links, certificates, processes; says what it does and how long it took. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { caInit, caIssue } from '../adapters/ca/authority';
import type { NodeResource } from '../core/model/node';
import { TEMPORAL_PORT, UI_PORT, declareProcesses } from './declare';
import { tearDown } from './down';
import { answeringSocket, awaitServers } from './health';
import { SYSTEM_PATH, startHost } from './host';
import { MARK_VARIABLE, identify, isAlive } from './identity';
import type { ProcessIdentity } from './identity';
import { Lab } from './lab';
import { withLock } from './lock';
import { ROUTER_DIRECTORY, peeringOf } from './peering';
import { furnish } from './routers';
import type { RouterKind } from './routers';
import { applySimNodes, fleetsOf, simName, writeNames } from './sim';
import { makeStateDirectory, paths, readLab, writeLab } from './state';
import type { LabRecord } from './state';
import { ROOT } from './tools';
import { hostsOf, wholeAether } from './topology';
import type { Size, Topology } from './topology';
import { wire } from './wire';

/** A unix socket's path holds at most 107 bytes; the longest below the state directory takes 40. */
const LONGEST_STATE_DIR = 64;
/** Certificates: their keys are made by threads beside this one. */
const ISSUED_AT_ONCE = 16;

export interface UpOptions extends Omit<Size, 'fleets'> {
  name: string;
  stateDir: string;
  nodes: readonly NodeResource[];
  /** Simulated edges, besides those of the nodes; none by default. */
  simEdges?: number;
  /** Processes that they are shared out to; as many as they need by default. */
  simFleets?: number;
  /** Of the regions in turn; BIRD and FRR by default. */
  routers?: readonly RouterKind[];
  logLevel?: string;
  /** Whether the wall clocks of controllers and agents can be set (clocks.ts); by default not. */
  clocks?: boolean;
  toolsDirectory?: string;
  /** Called with a line for people as each step is done. */
  progress?: (line: string) => void;
}

/** Whether every process that was declared runs and somebody looks after them. */
const isComplete = (lab: LabRecord): boolean =>
  lab.supervisor !== null && lab.hosts.every(({ holder }) => isAlive(holder));

/**
 * Idempotent: a lab that is up stays as it is (a supervisor that died is replaced); one that was
 * left half made is taken away and made anew.
 */
export async function up(options: UpOptions): Promise<LabRecord> {
  if (options.stateDir.length > LONGEST_STATE_DIR) {
    throw new Error(
      `The state directory's path is longer than ${LONGEST_STATE_DIR}: ${options.stateDir}`,
    );
  }
  return withLock(options.stateDir, async () => {
    const present = readLab(options.stateDir);
    if (present !== null && isComplete(present)) return resume(present, options);
    await tearDown(options.stateDir);
    return build(options);
  });
}

async function resume(lab: LabRecord, options: UpOptions): Promise<LabRecord> {
  const step = stepper(options);
  const names = (hosts: readonly { name: string }[]): string =>
    hosts.map(({ name }) => name).join(', ');
  const wanted = names(topologyOf(options).hosts);
  const [simulated, present] = [options.simEdges ?? 0, lab.simEdges ?? 0];
  if (present !== simulated) {
    throw new Error(
      `The lab ${lab.name} is up with ${present} simulated edges, not with ${simulated}: take it down first`,
    );
  }
  if (names(lab.hosts) !== wanted) {
    throw new Error(
      `The lab ${lab.name} is up with other hosts (${names(lab.hosts)}), not with ${wanted}: take it down first`,
    );
  }
  if (lab.supervisor === null || !isAlive(lab.supervisor)) {
    lab.supervisor = startSupervisor(lab.stateDir);
    writeLab(lab);
    step('the supervisor had ended: started again');
  } else {
    step('the lab is up already');
  }
  await serve(lab, step);
  return lab;
}

/** Resolves once all answer, and what is simulated is declared. */
async function serve(lab: LabRecord, step: (line: string) => void): Promise<void> {
  await awaitServers(lab, step);
  const simEdges = lab.simEdges ?? 0;
  if (simEdges === 0) return;
  const socket = (await answeringSocket({ record: lab })) ?? '';
  await applySimNodes(socket, simEdges, step);
}

const topologyOf = (options: UpOptions): Topology =>
  wholeAether(options.nodes, {
    ...options,
    fleets: options.simFleets ?? fleetsOf(options.simEdges ?? 0),
  });

async function build(options: UpOptions): Promise<LabRecord> {
  const { stateDir } = options;
  const step = stepper(options);
  const simEdges = options.simEdges ?? 0;
  const topology = topologyOf(options);
  refuseDoubleNames(topology);
  makeStateDirectory(stateDir);
  const ports = { temporal: await freePort(TEMPORAL_PORT), ui: await freePort(UI_PORT) };
  const routers = peeringOf(topology, options.nodes, options.routers);
  const processes = declareProcesses({
    stateDir,
    topology,
    nodes: options.nodes,
    routers,
    ports,
    logLevel: options.logLevel ?? 'info',
    clocks: options.clocks ?? false,
    ...(options.toolsDirectory === undefined ? {} : { toolsDirectory: options.toolsDirectory }),
  });
  const [hosts] = await Promise.all([
    makeHosts(options, topology),
    certify(stateDir, topology, simEdges),
  ]);
  writeNames(stateDir, topology, simEdges);
  const lab: LabRecord = {
    name: options.name,
    stateDir,
    createdAtMs: Date.now(),
    simEdges,
    hosts,
    links: topology.links,
    routes: topology.routes,
    routers,
    processes,
    endpoints: { temporal: `127.0.0.1:${ports.temporal}`, ui: `http://127.0.0.1:${ports.ui}` },
    supervisor: null,
  };
  writeLab(lab);
  step(`${topology.hosts.length} hosts, each with namespaces of its own`);
  await wire(topology, new Map(hosts.map(({ name, holder }) => [name, holder])));
  step(`${topology.links.length} links between them, certificates for each`);
  await furnishRouters(lab);
  lab.supervisor = startSupervisor(stateDir);
  writeLab(lab);
  step(`${processes.length} processes started`);
  await serve(lab, step);
  return lab;
}

function stepper({ progress }: UpOptions): (line: string) => void {
  const began = performance.now();
  return (line) =>
    progress?.(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${line}`);
}

function refuseDoubleNames({ hosts }: Topology): void {
  const names = hosts.map(({ name }) => name);
  const double = names.find((name, i) => names.indexOf(name) !== i);
  if (double !== undefined) {
    throw new Error(`Two hosts of the lab would be called ${double}: rename the node`);
  }
}

async function makeHosts(options: UpOptions, topology: Topology): Promise<LabRecord['hosts']> {
  return Promise.all(
    topology.hosts.map(async (host) => {
      mkdirSync(paths.host(options.stateDir, host.name), { recursive: true, mode: 0o700 });
      return { ...host, holder: await startHost(options.stateDir, host.name) };
    }),
  );
}

async function furnishRouters(record: LabRecord): Promise<void> {
  const lab = new Lab(record);
  for (const { host, kind, config } of record.routers) {
    await furnish(kind, config, ROUTER_DIRECTORY, lab.pathIn(host, ROUTER_DIRECTORY));
  }
}

async function certify(stateDir: string, topology: Topology, simEdges: number): Promise<void> {
  const directory = paths.certificates(stateDir);
  await caInit(directory);
  for (const role of ['etcd', 'controller', 'temporal', 'edge'] as const) {
    for (const { name, address } of hostsOf(topology, role)) {
      await caIssue(directory, {
        role,
        id: name,
        ...(role === 'edge' ? {} : { ipAddresses: [address] }),
      });
    }
  }
  await caIssue(directory, { role: 'operator', id: 'lab' });
  for (let i = 1; i <= simEdges; i += ISSUED_AT_ONCE) {
    const few = Array.from({ length: Math.min(ISSUED_AT_ONCE, simEdges - i + 1) }, (_, n) => n + i);
    await Promise.all(few.map((n) => caIssue(directory, { role: 'edge', id: simName(n) })));
  }
  const key = randomBytes(32).toString('base64');
  writeFileSync(paths.gossipKeys(stateDir), `${key}\n`, { mode: 0o600 });
}

/** The wanted port of 127.0.0.1, or any free one where it is taken. */
async function freePort(wanted: number): Promise<number> {
  const server = createServer();
  for (const port of [wanted, 0]) {
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      break;
    } catch {
      // Taken: take any.
    }
  }
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function startSupervisor(stateDir: string): ProcessIdentity {
  const log = openSync(paths.log(stateDir, 'supervisor'), 'a');
  const child = spawn(process.execPath, [join(ROOT, 'dist/lab/supervise.js'), stateDir], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: SYSTEM_PATH, [MARK_VARIABLE]: stateDir },
  });
  closeSync(log);
  child.unref();
  const identity = child.pid === undefined ? null : identify(child.pid);
  if (identity === null) throw new Error('The supervisor did not start');
  return identity;
}
