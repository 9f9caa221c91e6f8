/** What /proc tells of a process (proc_pid_stat(5), proc_pid_status(5)). */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** USER_HZ: what the kernel shows to programs, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Resident memory in MB (10^6 bytes). */
export function residentMb(pid: number): number {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`Process ${pid} has no memory: it has ended`);
  return (Number(kib) * 1024) / 1e6;
}

/** User and system time of all its threads, also of those that have ended, in ms. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/** What each of its file descriptors leads to, e.g. `net:[4026531840]`. */
export const descriptors = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // Closed between the two looks.
    }
  });
