/**
 * Imported before anything else: what follows is loaded in a hurry. On a busy host this process is one of many,
 * and all of its peers count until its sessions go on; later they wait for what it makes of a dead path.
 */
import { setPriority } from 'node:os';

/** As `nice -n -10`. The unit says so too, of the time before this. */
const NICENESS = -10;

try {
  setPriority(NICENESS);
} catch {
  // Without CAP_SYS_NICE; the process tells that it has no real-time priority either.
}
