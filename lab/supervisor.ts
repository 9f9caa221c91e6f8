/**
 * Keeps the declared processes of a lab running, each on its own: what ends is started again after
 * a back-off. It holds nothing: processes are recognised by their records, so it may itself be
 * killed at any time, and its successor takes over the processes that live.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { SYSTEM_PATH, hostEnvironment, inHost } from './host';
import { identify, isAlive } from './identity';
import { paths, readLab, readProcess, writeWhole } from './state';
import type { LabRecord, ProcessDeclaration, ProcessRecord } from './state';

const LOOK_EVERY_MS = 100;
const BACKOFF_MS = { first: 200, most: 5_000 };
/** A process that ran for as long is healthy: the next end starts at the first back-off again. */
const HEALTHY_AFTER_MS = 10_000;

export async function supervise(state: string): Promise<void> {
  const lab = readLab(state);
  if (lab === null) throw new Error(`There is no lab in ${state}`);
  await Promise.all(lab.processes.map((declared) => keep(lab, declared)));
}

async function keep(lab: LabRecord, declared: ProcessDeclaration): Promise<void> {
  let backoffMs = BACKOFF_MS.first;
  // Without its record the lab is being taken down: nothing may be started any more.
  while (existsSync(paths.record(lab.stateDir))) {
    const running = readProcess(lab.stateDir, declared.name);
    const held = existsSync(paths.held(lab.stateDir, declared.name));
    if (held || (running !== null && isAlive(running))) {
      await delay(LOOK_EVERY_MS);
      continue;
    }
    if (running !== null) {
      const livedMs = Date.now() - running.startedAtMs;
      backoffMs = livedMs > HEALTHY_AFTER_MS ? BACKOFF_MS.first : backoffMs;
      await delay(backoffMs);
      backoffMs = Math.min(backoffMs * 2, BACKOFF_MS.most);
      // Stopped by somebody meanwhile.
      if (existsSync(paths.held(lab.stateDir, declared.name))) continue;
    }
    await start(lab, declared, running);
  }
}

async function start(
  lab: LabRecord,
  declared: ProcessDeclaration,
  former: ProcessRecord | null,
): Promise<void> {
  const holder = lab.hosts.find((host) => host.name === declared.host)?.holder;
  if (holder === undefined || !isAlive(holder)) {
    console.error(`${declared.name}: its host ${declared.host} is gone; only a new lab helps`);
    await delay(BACKOFF_MS.most);
    return;
  }
  const log = openSync(paths.log(lab.stateDir, declared.name), 'a');
  const [command = '', ...args] = inHost(holder, declared.argv);
  const child = spawn(command, args, {
    detached: true,
    stdio: ['ignore', log, log, ...(declared.listen.length > 0 ? (['ipc'] as const) : [])],
    env: {
      PATH: SYSTEM_PATH,
      HOME: paths.host(lab.stateDir, declared.host),
      ...declared.env,
      ...hostEnvironment(lab.stateDir, declared.host),
    },
  });
  closeSync(log);
  child.on('error', (error) => {
    console.error(`${declared.name}: ${error.message}`);
  });
  record(lab, declared, child, former);
  await handOver(child, declared.listen);
  child.unref();
}

function record(
  lab: LabRecord,
  declared: ProcessDeclaration,
  child: ChildProcess,
  former: ProcessRecord | null,
): void {
  const identity = child.pid === undefined ? null : identify(child.pid);
  // Gone already: recorded as such, so that the back-off grows.
  const { pid, startTicks } = identity ?? { pid: child.pid ?? 0, startTicks: 'ended' };
  const restarts = former === null ? 0 : former.restarts + 1;
  const value: ProcessRecord = { pid, startTicks, startedAtMs: Date.now(), restarts };
  writeWhole(paths.process(lab.stateDir, declared.name), value);
  console.log(`${new Date().toISOString()} ${declared.name}: started, pid ${pid}`);
}

/** Opens the listening sockets here, outside the lab, and gives them to the child. */
async function handOver(child: ChildProcess, ports: readonly number[]): Promise<void> {
  for (const [index, port] of ports.entries()) {
    const server = createServer();
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      await new Promise<void>((resolve) => {
        child.send(index, server, () => {
          resolve();
        });
      });
    } catch (error) {
      console.error(`127.0.0.1:${port}: ${(error as Error).message}`);
    } finally {
      server.close();
    }
  }
  if (child.connected) child.disconnect();
}
