/**
 * Wall clocks of single processes of a lab, stepped while they run; their monotonic clocks go on. By a
 * library that is preloaded (clock/clock.c), so only where a program takes the time from libc, as Node does;
 * Go asks the kernel itself.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab';
import { paths } from './state';
import { ROOT } from './tools';

/** Built by scripts/setup. */
const LIBRARY = join(ROOT, '.tools/bin/lab-clock.so');

export const cannotSetClocks = (): string | false =>
  existsSync(LIBRARY) ? false : `${LIBRARY} is missing: make setup`;

const content = (offsetMs: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(Math.round(offsetMs * 1e6)));
  return bytes;
};

/** Environment of a process whose clock `file` sets; the file is made. */
export function clockVariables(file: string): Record<string, string> {
  const refusal = cannotSetClocks();
  if (refusal !== false) throw new Error(refusal);
  writeFileSync(file, content(0));
  return { LD_PRELOAD: LIBRARY, AETHER_LAB_CLOCK: file };
}

/** Its wall clock is so far ahead of the machine's (behind: below 0) from now on, also when it is started again. */
export function setClock(lab: Lab, process: string, offsetMs: number): void {
  const file = paths.clock(lab.stateDir, process);
  if (!existsSync(file)) throw new Error(`${process} has no clock of its own: up with clocks`);
  // In place: the process has mapped this very file.
  writeFileSync(file, content(offsetMs), { flag: 'r+' });
}
