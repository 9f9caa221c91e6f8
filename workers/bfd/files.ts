/**
 * What the bfd process keeps for the one after it: one checked file. It counts for one boot alone (alive.ts) and
 * lies on a tmpfs, so that it can be written at once: a process that is killed has lost nothing that it had said.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { replaceNow } from '../../adapters/state/atomic';
import { CheckedFile, encode } from '../../adapters/state/checked-file';
import { type HoldState, NOBODY } from '../../core/announce/hold';
import type { Lease, LeasedSession } from '../../core/announce/types';
import type { Session } from '../../core/bfd/types';
import { monotonicMs } from '../clock';
import type { Log } from './early-log';

export interface KeptSession {
  leased: LeasedSession;
  session: Session;
  /** Epoch ms of the last change of state, and changes from up so far. */
  sinceMs: number;
  downs: number;
  /** Monotonic ms: it went on then after a restart, and has heard nothing since, over all restarts. */
  unheardMs?: number | null;
}

/** JSON-plain; an absent file is all of it empty. */
export interface Memory {
  schema: 1;
  lease: Lease | null;
  sessions: KeptSession[];
  hold: HoldState;
}

export const EMPTY_MEMORY: Memory = { schema: 1, lease: null, sessions: [], hold: NOBODY };

/** Between two writes, where much changes at once. */
const REST_MS = 20;

export class MemoryFile {
  private readonly file: CheckedFile<Memory>;
  private writtenMs = -Infinity;
  private timer: NodeJS.Timeout | null = null;
  private queued = false;
  private problem: string | null = null;

  constructor(
    private readonly directory: string,
    private readonly log: Log,
    private readonly current: () => Memory,
  ) {
    this.file = new CheckedFile(join(directory, 'bfd.json'));
  }

  /** At once: threads that read files begin later, and on a busy host much later. */
  load(): Memory {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const loaded = this.file.loadNow();
    if (loaded.kind === 'value') return loaded.value;
    if (loaded.kind === 'corrupt') this.log.error({ corrupt: loaded.corrupt }, 'memory is lost');
    return EMPTY_MEMORY;
  }

  /** At the end of this turn of the loop; a little later, if it was written just before and `can: 'wait'`. */
  save(can: 'wait' | 'notWait'): void {
    if (this.queued || (this.timer !== null && can === 'wait')) return;
    const restMs = this.writtenMs + REST_MS - monotonicMs();
    if (restMs > 0 && can === 'wait') {
      this.timer = setTimeout(() => this.write(), restMs);
    } else {
      this.queued = true;
      queueMicrotask(() => this.write());
    }
  }

  write(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.queued = false;
    try {
      replaceNow(this.file.path, encode(this.current()));
      this.problem = null;
    } catch (error) {
      // It goes on without: only a restart would notice.
      if (this.problem === null) this.log.warn({ error }, 'memory can not be written');
      this.problem = String(error);
    }
    this.writtenMs = monotonicMs();
  }
}
