/**
 * Who a process is: pid and start time together, since pids are reused. And how a lab finds its own
 * again when its records are gone: each of its processes carries `AETHER_LAB_MARK` in its environment.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

export interface ProcessIdentity {
  pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks since boot. */
  startTicks: string;
}

/** Value: the absolute state directory of the lab that the process belongs to. */
export const MARK_VARIABLE = 'AETHER_LAB_MARK';
/** Value: the lab host in whose namespaces the process runs. */
export const HOST_VARIABLE = 'AETHER_LAB_HOST';

/** Fields of /proc/<pid>/stat after the command name, which may itself hold spaces and brackets. */
function statFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/**
 * Null where there is no such process, or only its zombie. A killed process whose first thread has
 * ended before the others shows as a zombie with threads left: those may still write a file.
 */
export function identify(pid: number): ProcessIdentity | null {
  const fields = statFields(pid);
  if (fields === null || fields[0] === 'X') return null;
  if (fields[0] === 'Z' && Number(fields[17]) <= 1) return null;
  return { pid, startTicks: fields[19] ?? '' };
}

export const isAlive = (identity: ProcessIdentity): boolean =>
  identify(identity.pid)?.startTicks === identity.startTicks;

/** Signals exactly this process; false where it is gone already. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, name);
    return true;
  } catch {
    return false;
  }
}

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  } catch {
    return [];
  }
}

/** Every host has one; unlike network and mount namespaces no tool of the trade changes it again. */
function utsNamespaceOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/uts`);
  } catch {
    return null;
  }
}

const allPids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** This process and those above it: what a lab must not end while it tidies up. */
function ownLine(): Set<number> {
  const line = new Set<number>();
  let pid = process.pid;
  while (pid > 1 && !line.has(pid)) {
    line.add(pid);
    pid = Number(statFields(pid)?.[1] ?? 0);
  }
  return line;
}

/**
 * Every process of the lab with this mark, also those whose record is lost and those that were
 * started in one of its hosts with a cleared environment (found by the host's UTS namespace).
 */
export function processesOf(mark: string): ProcessIdentity[] {
  const spared = ownLine();
  const pids = allPids().filter((pid) => !spared.has(pid));
  const own = new Set<number>();
  const hosts = new Set<string>();
  const outside = utsNamespaceOf(process.pid);
  for (const pid of pids) {
    const environment = environmentOf(pid);
    if (!environment.includes(`${MARK_VARIABLE}=${mark}`)) continue;
    own.add(pid);
    const uts = utsNamespaceOf(pid);
    const inHost = environment.some((entry) => entry.startsWith(`${HOST_VARIABLE}=`));
    if (inHost && uts !== null && uts !== outside) hosts.add(uts);
  }
  for (const pid of pids) {
    const uts = utsNamespaceOf(pid);
    if (uts !== null && hosts.has(uts)) own.add(pid);
  }
  return [...own].flatMap((pid) => identify(pid) ?? []);
}
