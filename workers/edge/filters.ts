/**
 * Brings the filters to what accepted spec, overrides, lists on disk and the time want, whenever one
 * of them changes: one after another, the newest wins. No repair: neither budget nor freeze counts.
 */
import type { BlobStore } from '../../adapters/state/blobs';
import type { Accepted } from '../../core/edge/types';
import {
  contentsHash,
  contentsOf,
  type FilterContents,
  type Override,
} from '../../core/filter/contents';
import { chooseLists, listsOf, type ListChoice } from '../../core/filter/lists';
import type { EdgeBlocklist } from '../../core/model/edge-spec';
import type { FilterOutcome, HostPort } from '../../core/model/host';
import type { EdgeFilters } from '../../core/model/messages';
import { epochMs } from '../clock';
import type { EdgeMetrics } from './metrics';
import type { Problems } from './problems';

/** After the host could not be brought there. */
const RETRY_MS = 5_000;

export interface FiltersParts {
  host: Pick<HostPort, 'setFilters'>;
  blobs: BlobStore;
  /** Canonical prefixes that join every filter's failsafe. */
  failsafe(): string[];
  /** Writes down which lists are loaded; null once that is durable. */
  saveLoaded(lists: EdgeBlocklist[]): Promise<string | null>;
  /** What the spec names is held, or why not. */
  told(specHash: string, pending: string | null): void;
  problems: Problems;
  metrics: Pick<EdgeMetrics, 'filterLoadSeconds'>;
}

interface Wish {
  accepted: Accepted;
  overrides: readonly Override[];
}

interface Named {
  contents: FilterContents;
  hash: string;
}

export class Filters {
  private wish: Wish | null = null;
  private dirty = false;
  private running: Promise<void> | null = null;
  private retry: NodeJS.Timeout | null = null;
  private wanted: Named[] = [];
  private readonly held = new Map<string, Named>();
  /** Lists whose wanted version is not loaded. */
  private waiting = new Set<string>();
  private swept = false;
  /** What is loaded could not be written down. */
  private unsaved = false;
  private readonly errors = new Map<string, string>();

  constructor(
    private readonly parts: FiltersParts,
    /** As last loaded, before this process. */
    private loaded: EdgeBlocklist[],
  ) {
    parts.blobs.know(loaded.map(({ blob }) => blob));
  }

  set(accepted: Accepted, overrides: readonly Override[]): void {
    // Else pieces of versions that were never whole would fill the disk.
    if (this.wish?.accepted.hash !== accepted.hash) this.swept = false;
    this.wish = { accepted, overrides };
    this.parts.blobs.know(listsOf(accepted.spec).map(({ blob }) => blob));
    this.refresh();
  }

  /** A list arrived, or an address changed. */
  refresh(): void {
    if (this.wish === null) return;
    this.dirty = true;
    this.running ??= this.work().finally(() => {
      this.running = null;
      // Somebody may have come while the last round was ending.
      if (this.dirty) this.refresh();
    });
  }

  /** Resolves when what was wanted last has been tried. */
  async settled(): Promise<void> {
    while (this.running !== null) await this.running;
  }

  /** What the filters hold now, as far as this process brought them there. */
  contents(): FilterContents[] {
    return [...this.held.values()].map(({ contents }) => contents);
  }

  /** Whether all of them hold what was wanted last. */
  upToDate(): boolean {
    return this.wanted.every(
      ({ contents, hash }) => this.held.get(contents.interface)?.hash === hash,
    );
  }

  status(): EdgeFilters {
    const { accepted, overrides } = this.wish ?? { accepted: null, overrides: [] };
    const former = new Map(this.loaded.map((list) => [list.name, list.blob.count]));
    return {
      interfaces: (accepted?.spec.filters ?? []).map(({ interface: name }) => ({
        interface: name,
        wanted: this.wanted.find(({ contents }) => contents.interface === name)?.hash ?? null,
        held: this.held.get(name)?.hash ?? null,
        problem: this.errors.get(name) ?? null,
      })),
      lists: (accepted === null ? [] : listsOf(accepted.spec)).map(({ name, mode, blob }) => ({
        name,
        mode,
        wanted: blob.count,
        held: former.get(name) ?? null,
        chunksMissing: this.parts.blobs.lacking([blob]).length,
      })),
      overrides: [...overrides],
    };
  }

  close(): void {
    this.wish = null;
    this.dirty = false;
    if (this.retry !== null) clearTimeout(this.retry);
  }

  private async work(): Promise<void> {
    while (this.dirty && this.wish !== null) {
      this.dirty = false;
      await this.bring(this.wish);
    }
  }

  private async bring({ accepted, overrides }: Wish): Promise<void> {
    const { blobs, failsafe, told } = this.parts;
    const { spec, hash } = accepted;
    const lists = listsOf(spec);
    const choice = chooseLists(lists, this.loaded, (blob) => blobs.isWhole(blob));
    const { use } = choice;
    const wanted = contentsOf({ ...spec, blocklists: use }, overrides, failsafe(), epochMs());
    this.wanted = wanted.map((contents) => ({ contents, hash: contentsHash(contents) }));
    const outcomes = await this.load(wanted);
    const failed = this.note(outcomes);
    const waiting = this.noteWaiting(lists, choice);
    if (failed === null) await this.keep(use);
    told(hash, failed ?? waiting);
  }

  private async load(wanted: readonly FilterContents[]): Promise<FilterOutcome[]> {
    try {
      return await this.parts.host.setFilters(wanted);
    } catch (error) {
      const message = (error as Error).message;
      return wanted.map((contents) => ({
        interface: contents.interface,
        error: message,
        tookMs: 0,
      }));
    }
  }

  /** The first of what went wrong; null = nothing did. */
  private note(outcomes: readonly FilterOutcome[]): string | null {
    const { problems, metrics } = this.parts;
    const former = [...this.held.keys()];
    const wanted = new Map(this.wanted.map((named) => [named.contents.interface, named]));
    for (const name of former) if (!wanted.has(name)) this.forget(name);
    let first: string | null = null;
    for (const { interface: name, error, tookMs } of outcomes) {
      const named = wanted.get(name);
      if (error === null) {
        if (named !== undefined) this.held.set(name, named);
        this.errors.delete(name);
        problems.clear(`filter ${name}`);
        metrics.filterLoadSeconds.set({ interface: name }, tookMs / 1000);
        continue;
      }
      const text = `the filter of ${name} goes on with what it held: ${error}`;
      this.errors.set(name, error);
      problems.set(`filter ${name}`, text);
      first ??= text;
    }
    if (first !== null) this.tryLater();
    return first;
  }

  private forget(name: string): void {
    this.held.delete(name);
    this.errors.delete(name);
    this.parts.problems.clear(`filter ${name}`);
  }

  /** One problem for each list that is on its way; the first of them, or null. */
  private noteWaiting(wanted: readonly EdgeBlocklist[], { waiting }: ListChoice): string | null {
    const { problems, blobs } = this.parts;
    let first: string | null = null;
    const names = new Set(waiting.map(({ name }) => name));
    for (const name of this.waiting) if (!names.has(name)) problems.clear(`list ${name}`);
    this.waiting = names;
    for (const { name, held } of waiting) {
      const list = wanted.find((candidate) => candidate.name === name);
      const lacking = list === undefined ? 0 : blobs.lacking([list.blob]).length;
      const pieces = `${lacking} of ${list?.blob.chunks.length ?? 0} chunks are missing`;
      const meanwhile = held ? '; its former version goes on' : '';
      const text = `the list ${name} is not enforced yet: ${pieces}${meanwhile}`;
      problems.set(`list ${name}`, text);
      first ??= text;
    }
    return first;
  }

  /** All filters hold these lists: written down, and what else lies on the disk may go. */
  private async keep(use: EdgeBlocklist[]): Promise<void> {
    const { blobs, saveLoaded } = this.parts;
    const changed = this.unsaved || JSON.stringify(use) !== JSON.stringify(this.loaded);
    this.loaded = use;
    this.unsaved = changed && (await saveLoaded(use)) !== null;
    // What lies on the disk goes with the note that is there.
    if (this.unsaved) return this.tryLater();
    if (!changed && this.swept) return;
    this.swept = true;
    const wanted = this.wish === null ? [] : listsOf(this.wish.accepted.spec);
    await blobs.keepOnly([...use, ...wanted].map(({ blob }) => blob));
  }

  private tryLater(): void {
    this.retry ??= setTimeout(() => {
      this.retry = null;
      this.refresh();
    }, RETRY_MS).unref();
  }
}
