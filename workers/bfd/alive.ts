/**
 * Tells the next process how long nobody was there: a few bytes in the state directory (a tmpfs), renewed all
 * the time. Another boot is another life: nothing of it counts.
 */
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { monotonicMs } from '../clock';

/** Its peers count what a restart takes. */
const WATCHING_MS = 50;
/** Nobody does: only the grace time of the lease goes on. */
const IDLE_MS = 1_000;

export interface Life {
  boot: string;
  aliveMs: number;
  /** When the lease was renewed last. */
  renewedMs: number;
}

const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** Of the process before this one; null: there was none since the host came up. */
export function formerLife(path: string): Life | null {
  try {
    const life = JSON.parse(readFileSync(path, 'utf8')) as Life;
    return life.boot === bootId() && life.aliveMs <= monotonicMs() ? life : null;
  } catch {
    return null;
  }
}

export class Alive {
  private readonly fd: number;
  private timer: NodeJS.Timeout;
  private everyMs = WATCHING_MS;
  private readonly boot = bootId();

  constructor(
    path: string,
    private readonly renewedMs: () => number,
  ) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    this.fd = openSync(path, 'w', 0o600);
    this.beat();
    this.timer = this.start();
  }

  /** Whether sessions run: then each beat counts. */
  watch(isWatching: boolean): void {
    const everyMs = isWatching ? WATCHING_MS : IDLE_MS;
    if (everyMs === this.everyMs) return;
    this.everyMs = everyMs;
    clearInterval(this.timer);
    this.beat();
    this.timer = this.start();
  }

  private start(): NodeJS.Timeout {
    return setInterval(() => this.beat(), this.everyMs).unref();
  }

  close(): void {
    clearInterval(this.timer);
    this.beat();
    closeSync(this.fd);
  }

  private beat(): void {
    const life: Life = { boot: this.boot, aliveMs: monotonicMs(), renewedMs: this.renewedMs() };
    try {
      // One write of one length: a reader never sees half of it.
      writeSync(this.fd, `${JSON.stringify(life).padEnd(127)}\n`, 0);
    } catch {
      // No room on the tmpfs: sessions go on, and what comes after begins them anew.
    }
  }
}
