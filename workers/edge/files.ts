/**
 * The agent's state directory. What can't be written is a problem that is told (status, metrics,
 * log), never a reason to stop guarding the host by what was accepted before.
 */
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CheckedFile, type Loaded } from '../../adapters/state/checked-file';
import { EMPTY_ROUTING_MEMORY, type RoutingMemory } from '../../core/announce/decide';
import { EMPTY_MEMORY, type Accepted, type Memory } from '../../core/edge/types';
import type { EdgeBlocklist } from '../../core/model/edge-spec';
import { EMPTY_LEDGER, type Ledger } from '../../core/model/host';
import { parseEdgeSpec } from '../../core/model/values';
import { Newest } from './newest';
import type { Problems } from './problems';

const RETRY_MS = 5_000;

/** Does not keep a process alive that has nothing else to do. */
const later = (again: () => void): void => void setTimeout(again, RETRY_MS).unref();

/** What was last loaded into the filters, and who was failsafe then. */
export interface FiltersNote {
  lists: EdgeBlocklist[];
  /** Addresses by name, as they were last resolved. */
  addresses: Record<string, string[]>;
}

export const EMPTY_FILTERS_NOTE: FiltersNote = { lists: [], addresses: {} };

export interface Remembered {
  /** One more than at the last start. */
  incarnation: number;
  accepted: Accepted | null;
  memory: Memory;
  ledger: Ledger;
  filters: FiltersNote;
  routing: RoutingMemory;
}

export class AgentFiles {
  private readonly spec: CheckedFile<Accepted>;
  private readonly memory: CheckedFile<Memory>;
  private readonly ledger: CheckedFile<Ledger>;
  private readonly filters: CheckedFile<FiltersNote>;
  private readonly routing: CheckedFile<RoutingMemory>;
  private readonly incarnation: CheckedFile<number>;
  private readonly memories = new Newest<Memory>((memory) =>
    this.attempt('memory.json', () => this.memory.save(memory)),
  );
  private readonly routings = new Newest<RoutingMemory>((memory) =>
    this.attempt('routing.json', () => this.routing.save(memory)),
  );

  constructor(
    private readonly directory: string,
    private readonly problems: Problems,
  ) {
    this.spec = new CheckedFile(join(directory, 'spec.json'));
    this.memory = new CheckedFile(join(directory, 'memory.json'));
    this.ledger = new CheckedFile(join(directory, 'ledger.json'));
    this.filters = new CheckedFile(join(directory, 'filters.json'));
    this.routing = new CheckedFile(join(directory, 'routing.json'));
    this.incarnation = new CheckedFile(join(directory, 'incarnation.json'));
  }

  async load(): Promise<Remembered> {
    const accepted = this.understood(await this.read(this.spec, null));
    // What a former version did not know of yet is as at the beginning.
    const memory = { ...EMPTY_MEMORY, ...(await this.read(this.memory, EMPTY_MEMORY)) };
    const filters = await this.read(this.filters, EMPTY_FILTERS_NOTE);
    const routing = {
      ...EMPTY_ROUTING_MEMORY,
      ...(await this.read(this.routing, EMPTY_ROUTING_MEMORY)),
    };
    const ledger = await this.read(this.ledger, EMPTY_LEDGER);
    // Seconds since 1970 are above any count of starts that a lost file could have held.
    const before = await this.read(this.incarnation, 0, Math.floor(Date.now() / 1000));
    const incarnation = before + 1;
    await this.saveIncarnation(incarnation);
    return { incarnation, accepted, memory, ledger, filters, routing };
  }

  /** Null once it is durable, else why it is not. */
  saveSpec(accepted: Accepted): Promise<string | null> {
    return this.attempt('spec.json', () => this.spec.save(accepted));
  }

  /** Rejects where it can't be written: without a note of it nothing new may be made. */
  async saveLedger(ledger: Ledger): Promise<void> {
    const error = await this.attempt('ledger.json', () => this.ledger.save(ledger));
    if (error !== null) throw new Error(`the ledger can't be written: ${error}`);
  }

  /** Null once it is durable, else why it is not. */
  saveFilters(note: FiltersNote): Promise<string | null> {
    return this.attempt('filters.json', () => this.filters.save(note));
  }

  /** Soon, and only the newest: changes that come while one is being written are one write. */
  saveMemory(memory: Memory): void {
    this.memories.save(memory);
  }

  /** Likewise. */
  saveRouting(memory: RoutingMemory): void {
    this.routings.save(memory);
  }

  /** Resolves when nothing waits to be written. */
  async flushed(): Promise<void> {
    await Promise.all([this.memories.flushed(), this.routings.flushed()]);
  }

  private async saveIncarnation(incarnation: number): Promise<void> {
    const save = () => this.incarnation.save(incarnation);
    const error = await this.attempt('incarnation.json', save);
    if (error !== null) later(() => void this.saveIncarnation(incarnation));
  }

  /** As this version means it; one of a former version said less. */
  private understood(accepted: Accepted | null): Accepted | null {
    if (accepted === null) return null;
    const parsed = parseEdgeSpec(JSON.stringify(accepted.spec));
    if (parsed.ok) return { ...accepted, spec: parsed.value };
    const { path } = this.spec;
    this.problems.set(`unread ${path}`, `${path} is of another version: ${parsed.reason}`);
    return null;
  }

  private async read<T>(file: CheckedFile<T>, absent: T, lost: T = absent): Promise<T> {
    const loaded = await file.load().catch((error: Error): Loaded<T> => {
      this.problems.set(basename(file.path), `${file.path} can't be read: ${error.message}`);
      return { kind: 'absent' };
    });
    if (loaded.kind === 'value') return loaded.value;
    if (loaded.kind === 'absent') return absent;
    const { why, keptAs } = loaded.corrupt;
    const kept = keptAs === null ? '' : `, kept as ${keptAs}`;
    // Stays until the next start: what was lost (a freeze, a budget) is not back with the next write.
    this.problems.set(`corrupt ${file.path}`, `${file.path} is not used: ${why}${kept}`);
    return lost;
  }

  private async attempt(what: string, write: () => Promise<void>): Promise<string | null> {
    try {
      // Also later: whoever cleans a disk up may take the directory with it.
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      await write();
      this.problems.clear(what);
      return null;
    } catch (error) {
      const { message } = error as Error;
      this.problems.set(what, `${what} in ${this.directory} can't be written: ${message}`);
      return message;
    }
  }
}
