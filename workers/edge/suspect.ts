/** Who asked the kernel for a change: a netlink port id is most often the pid of its socket's owner. */
import { readFileSync } from 'node:fs';

/**
 * `ip (pid 4711)`, or null where the id leads to nobody: the process has ended (most tools do at
 * once), or the id was made up by the kernel, or it is ourselves.
 */
export function suspectOf(portId: number | null): string | null {
  if (portId === null || portId <= 0 || portId === process.pid) return null;
  try {
    return `${readFileSync(`/proc/${portId}/comm`, 'utf8').trim()} (pid ${portId})`;
  } catch {
    return null;
  }
}
