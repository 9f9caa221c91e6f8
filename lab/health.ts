/** When the servers of a lab answer. */
import { once } from 'node:events';
import { get } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { AdminClient } from '../adapters/admin/client';
import {
  ADMIN_SOCKET,
  BFD_SOCKET,
  EDGE_SOCKET,
  ETCD_HEALTH_SOCKET,
  GOBGP_SOCKET,
  SIM_SOCKET,
  agentOf,
  bfdOf,
  gobgpdOf,
} from './declare';
import { isAlive } from './identity';
import { hostPath } from './lab';
import { ROUTER_DIRECTORY } from './peering';
import { software } from './routers';
import { paths, readProcess } from './state';
import type { LabRecord } from './state';
import { eventually } from './wait';

export async function awaitServers(lab: LabRecord, step: (line: string) => void): Promise<void> {
  const named = (role: string): string[] =>
    lab.hosts.filter((host) => host.role === role).map(({ name }) => name);
  const etcds = named('etcd');
  await Promise.all([
    (async () => {
      await Promise.all(
        etcds.map((name) => awaitOne(lab, name, () => isEtcdHealthy(lab.stateDir, name))),
      );
      step(`etcd: ${etcds.length} members are healthy`);
    })(),
    (async () => {
      await awaitOne(lab, 'temporal', () => isTemporalServing(lab));
      step(`Temporal serves, its UI is at ${lab.endpoints.ui}`);
    })(),
    (async () => {
      const agents = lab.hosts.filter(({ role }) => role === 'edge');
      const controllers = lab.hosts.filter(({ role }) => role === 'controller');
      const fleets = lab.hosts.filter(({ role }) => role === 'fleet');
      await Promise.all([
        ...fleets.map((host) =>
          awaitOne(lab, host.name, () => accepts(hostPath(host, SIM_SOCKET))),
        ),
        ...controllers.map((host) => awaitOne(lab, host.name, () => isController(host))),
        ...agents.map((host) =>
          awaitOne(lab, agentOf(host.name), () => accepts(hostPath(host, EDGE_SOCKET))),
        ),
      ]);
      step(`controllers and agents answer: ${controllers.length} and ${agents.length}`);
    })(),
    awaitSpeakers(lab, step),
  ]);
}

/** Routers, the observer, and what speaks for the edges. */
async function awaitSpeakers(lab: LabRecord, step: (line: string) => void): Promise<void> {
  if (lab.routers.length === 0) return;
  const hostOf = (name: string): LabRecord['hosts'][number] | undefined =>
    lab.hosts.find((host) => host.name === name);
  const declared = new Set(lab.processes.map(({ name }) => name));
  await Promise.all([
    ...lab.routers.map(async ({ host, kind, config }) => {
      const found = hostOf(host);
      if (found === undefined) return;
      const { ready, processes } = software[kind];
      const [first] = processes(config, ROUTER_DIRECTORY);
      await awaitOne(lab, `${first?.name ?? kind}@${host}`, async () => {
        await ready(config, hostPath(found, ROUTER_DIRECTORY));
        return true;
      });
    }),
    ...lab.hosts.flatMap((host) =>
      (
        [
          [gobgpdOf(host.name), GOBGP_SOCKET],
          [bfdOf(host.name), BFD_SOCKET],
        ] as const
      )
        .filter(([name]) => host.role === 'edge' && declared.has(name))
        .map(([name, socket]) => awaitOne(lab, name, () => accepts(hostPath(host, socket)))),
    ),
  ]);
  step(`routers: ${lab.routers.map(({ host, kind }) => `${host} (${kind})`).join(', ')}`);
}

async function awaitOne(lab: LabRecord, name: string, look: () => Promise<boolean>): Promise<void> {
  try {
    await eventually(`${name} is healthy`, look, { within: 60_000 });
  } catch (error) {
    const restarts = readProcess(lab.stateDir, name)?.restarts ?? 0;
    const hint = `it was restarted ${restarts} times, its log is ${paths.log(lab.stateDir, name)}`;
    throw new Error(`${(error as Error).message}; ${hint}`, { cause: error });
  }
}

interface Answer {
  status: number;
  body: string;
}

async function ask(where: RequestOptions): Promise<Answer> {
  const request = get({ ...where, timeout: 2_000 });
  request.on('timeout', () => request.destroy(new Error('no answer within 2 s')));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, body };
}

/** Rejects where nobody accepts on this unix socket. */
export async function accepts(path: string): Promise<true> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}

/**
 * Admin sockets of all its controllers, in their order; one that was killed has left its own behind. Of hosts that are
 * gone there are none: behind their pids may be the file system of anybody.
 */
export const adminSockets = ({ record }: { record: LabRecord }): string[] =>
  record.hosts
    .filter(({ role, holder }) => role === 'controller' && isAlive(holder))
    .map((host) => hostPath(host, ADMIN_SOCKET));

/** The first of them that accepts; where none does, the first one, whose error tells why; null: there is no controller. */
export async function answeringSocket({ record }: { record: LabRecord }): Promise<string | null> {
  for (const host of record.hosts.filter(({ role }) => role === 'controller')) {
    const path = hostPath(host, ADMIN_SOCKET);
    if (await accepts(path).catch(() => false)) return path;
  }
  return adminSockets({ record })[0] ?? null;
}

/** It reaches its etcd and its Temporal. */
async function isController(host: LabRecord['hosts'][number]): Promise<boolean> {
  await accepts(hostPath(host, ADMIN_SOCKET));
  using client = new AdminClient(hostPath(host, ADMIN_SOCKET), 'lab');
  const { etcd, temporal } = await client.status();
  return etcd.ok && temporal.ok;
}

/** By its own word: it has a leader and commits. */
export async function isEtcdHealthy(stateDir: string, name: string): Promise<boolean> {
  const socketPath = join(paths.host(stateDir, name), ETCD_HEALTH_SOCKET);
  const { body } = await ask({ socketPath, path: '/health' });
  return body.includes('"health":"true"');
}

/** The UI's server asks the frontend, so its answer speaks for both. */
async function isTemporalServing(lab: LabRecord): Promise<boolean> {
  const { status } = await ask({ ...urlParts(lab.endpoints.ui), path: '/api/v1/namespaces' });
  return status === 200;
}

function urlParts(url: string): RequestOptions {
  const { hostname, port } = new URL(url);
  return { hostname, port };
}
