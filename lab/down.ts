/** Takes a lab away, whatever is left of it: found by its records and by its mark (`identity.ts`). */
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, processesOf, signal } from './identity';
import type { ProcessIdentity } from './identity';
import { withLock } from './lock';
import { readLab, readProcess, removeStateDirectory } from './state';
import type { LabRecord } from './state';

const DEADLINE_MS = 20_000;

function recorded(lab: LabRecord): ProcessIdentity[] {
  const processes = lab.processes.map(({ name }) => readProcess(lab.stateDir, name));
  const holders = lab.hosts.map(({ holder }) => holder);
  return [lab.supervisor, ...processes, ...holders].filter(
    (one): one is ProcessIdentity => one !== null && isAlive(one),
  );
}

function readRecorded(state: string): ProcessIdentity[] {
  try {
    const lab = readLab(state);
    return lab === null ? [] : recorded(lab);
  } catch {
    return []; // A torn record: the mark finds the processes without it.
  }
}

/**
 * Ends every process of the lab and removes its state; resolves with how many were ended. The hosts'
 * namespaces, links, mounts and pins end with the last process in them.
 */
export async function down(state: string): Promise<number> {
  const ended = await withLock(state, () => tearDown(state));
  return ended;
}

/** As `down`, for one who holds the lock. */
export async function tearDown(state: string): Promise<number> {
  const deadline = performance.now() + DEADLINE_MS;
  const ended = new Set<number>();
  for (;;) {
    const alive = [...readRecorded(state), ...processesOf(state)];
    if (alive.length === 0) break;
    if (performance.now() > deadline) {
      throw new Error(
        `These processes of the lab do not end: ${alive.map(({ pid }) => pid).join(', ')}`,
      );
    }
    for (const one of alive) if (signal(one, 'SIGKILL')) ended.add(one.pid);
    await delay(20);
  }
  removeStateDirectory(state);
  return ended.size;
}
