/**
 * What the bfd process keeps for the one after it: one checked file, written behind. It counts for one boot
 * alone (alive.ts), so nothing waits for the disk: what changed is in the file a millisecond later.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../adapters/state/atomic';
import { CheckedFile } from '../../adapters/state/checked-file';
import type { Logger } from '../../adapters/telemetry/logger';
import { type HoldState, NOBODY } from '../../core/announce/hold';
import type { Lease, LeasedSession } from '../../core/announce/types';
import type { Session } from '../../core/bfd/types';

export interface KeptSession {
  leased: LeasedSession;
  session: Session;
  /** Epoch ms of the last change of state, and changes from up so far. */
  sinceMs: number;
  downs: number;
}

/** JSON-plain; an absent file is all of it empty. */
export interface Memory {
  schema: 1;
  lease: Lease | null;
  sessions: KeptSession[];
  hold: HoldState;
}

export const EMPTY_MEMORY: Memory = { schema: 1, lease: null, sessions: [], hold: NOBODY };

export class MemoryFile {
  private readonly file: CheckedFile<Memory>;
  private dirty = false;
  private writing: Promise<void> | null = null;
  problem: string | null = null;

  constructor(
    private readonly directory: string,
    private readonly log: Logger,
    private readonly current: () => Memory,
  ) {
    this.file = new CheckedFile(join(directory, 'bfd.json'), replaceFile);
  }

  async load(): Promise<Memory> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const loaded = await this.file.load();
    if (loaded.kind === 'value') return loaded.value;
    if (loaded.kind === 'corrupt') this.log.error({ corrupt: loaded.corrupt }, 'memory is lost');
    return EMPTY_MEMORY;
  }

  /** Soon; what changes while a write is under way is in the next one. */
  save(): void {
    this.dirty = true;
    this.writing ??= this.write().finally(() => (this.writing = null));
  }

  async flushed(): Promise<void> {
    while (this.writing !== null) await this.writing;
  }

  private async write(): Promise<void> {
    // Later in this turn of the loop more may change.
    await Promise.resolve();
    while (this.dirty) {
      this.dirty = false;
      try {
        await this.file.save(this.current());
        this.problem = null;
      } catch (error) {
        // It goes on without: only a restart would notice.
        if (this.problem === null) this.log.warn({ error }, 'memory can not be written');
        this.problem = String(error);
      }
    }
  }
}
