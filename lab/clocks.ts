/**
 * Clocks of single processes of a lab, set while they run, by a library that is preloaded (clock/clock.c): so
 * only where a program takes the time from libc, as Node does; Go asks the kernel itself.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readdirSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab';
import { paths } from './state';
import { ROOT } from './tools';
import { eventually } from './wait';

/** Built by scripts/setup. */
const LIBRARY = join(ROOT, '.tools/bin/lab-clock.so');

export const cannotSetClocks = (): string | false =>
  existsSync(LIBRARY) ? false : `${LIBRARY} is missing: make setup`;

/** Places in the file, of an int64 each. */
const PLACES = { wall: 0, monotonic: 8 } as const;

/** Environment of a process whose clocks `file` sets; the file is made. */
export function clockVariables(file: string): Record<string, string> {
  const refusal = cannotSetClocks();
  if (refusal !== false) throw new Error(refusal);
  writeFileSync(file, Buffer.alloc(16));
  return { LD_PRELOAD: LIBRARY, AETHER_LAB_CLOCK: file };
}

function put(lab: Lab, process: string, clock: keyof typeof PLACES, offsetMs: number): void {
  const path = paths.clock(lab.stateDir, process);
  if (!existsSync(path)) throw new Error(`${process} has no clock of its own: up with clocks`);
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(Math.round(offsetMs * 1e6)));
  // In place: the process has mapped this very file.
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, PLACES[clock]);
  closeSync(file);
}

/** Its wall clock is so far ahead of the machine's (behind: below 0) from now on, also when it is started again. */
export const setClock = (lab: Lab, process: string, offsetMs: number): void =>
  put(lab, process, 'wall', offsetMs);

export interface Suspended {
  /** It goes on, and believes that no time has passed. */
  wake: () => void;
  /** The time that it missed passes for it after all, at once. */
  catchUp: () => void;
}

/**
 * A process stands still as on a machine that is suspended: its monotonic clock does not count the time (as
 * clock_gettime(2) says of CLOCK_MONOTONIC), so that whatever it held for certain seems certain still.
 */
export async function suspend(lab: Lab, process: string): Promise<Suspended> {
  lab.kill(process, 'SIGSTOP');
  const pid = lab.process(process)?.pid ?? 0;
  await eventually(`${process} stands still`, () => isStopped(pid), { within: 10_000, every: 10 });
  // From when all its threads stood: its clock must never go back.
  const sinceMs = performance.now();
  return {
    wake: () => {
      put(lab, process, 'monotonic', sinceMs - performance.now());
      lab.kill(process, 'SIGCONT');
    },
    catchUp: () => put(lab, process, 'monotonic', 0),
  };
}

const isStopped = (pid: number): boolean =>
  readdirSync(`/proc/${pid}/task`).every((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  });
