/**
 * What is written down of a lab: `lab.json` (what was made) and one small file for each running
 * process. Everything lies in the lab's state directory, which `lab down` removes last.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessIdentity } from './identity';
import type { LabRouter } from './peering';
import type { Host, HostRoute, Link } from './topology';

export interface ProcessDeclaration {
  name: string;
  host: string;
  argv: string[];
  env: Record<string, string>;
  /**
   * Ports on 127.0.0.1 outside the lab on which the process accepts: the supervisor opens the
   * listening sockets there and hands them over, since a socket keeps the namespace it was made in.
   */
  listen: number[];
}

export interface LabRecord {
  name: string;
  stateDir: string;
  createdAtMs: number;
  /** Absent: none. */
  simEdges?: number;
  hosts: (Host & { holder: ProcessIdentity })[];
  links: Link[];
  routes: HostRoute[];
  /** Those that speak BGP, the observer among them; none where no node does. */
  routers: LabRouter[];
  processes: ProcessDeclaration[];
  /** Addresses for people and clients in the root namespace. */
  endpoints: { temporal: string; ui: string };
  supervisor: ProcessIdentity | null;
}

export interface ProcessRecord extends ProcessIdentity {
  startedAtMs: number;
  restarts: number;
}

export const LABS = '/var/lib/aether/lab';

/** Paths below a lab's state directory; one function each, so that a typo can't hide. */
export const paths = {
  record: (state: string): string => join(state, 'lab.json'),
  lock: (state: string): string => join(state, 'lock'),
  process: (state: string, process: string): string => join(state, 'run', `${process}.json`),
  /** While this file is there, the supervisor leaves the process stopped. */
  held: (state: string, process: string): string => join(state, 'run', `${process}.held`),
  /** Where the process's wall clock stands beside the machine's: see clocks.ts. */
  clock: (state: string, process: string): string => join(state, 'run', `${process}.clock`),
  log: (state: string, process: string): string => join(state, 'log', `${process}.log`),
  host: (state: string, host: string): string => join(state, 'hosts', host),
  /** Of the gossip between controllers. */
  gossipKeys: (state: string): string => join(state, 'certificates', 'gossip.keys'),
  certificates: (state: string): string => join(state, 'certificates'),
  /** Names of the edges that a fleet simulates, one a line. */
  simNodes: (state: string, fleet: string): string => join(paths.host(state, fleet), 'nodes'),
} as const;

/** Renamed into place, so that a reader sees the old content or the new, never half. */
export function writeWhole(path: string, value: unknown): void {
  const next = `${path}.${process.pid}.new`;
  writeFileSync(next, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(next, path);
}

function readJson<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new Error(`${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
}

export const readLab = (state: string): LabRecord | null => readJson(paths.record(state));

export const writeLab = (record: LabRecord): void => {
  writeWhole(paths.record(record.stateDir), record);
};

export const readProcess = (state: string, name: string): ProcessRecord | null =>
  readJson(paths.process(state, name));

export function makeStateDirectory(state: string): void {
  for (const below of ['run', 'log', 'hosts', 'certificates']) {
    mkdirSync(join(state, below), { recursive: true, mode: 0o700 });
  }
}

export const removeStateDirectory = (state: string): void => {
  rmSync(state, { recursive: true, force: true });
};
