/**
 * A host in memory behind the agent's door to the kernel: the planner's own model of one. Simulated edges
 * have one each, and so has an agent in a test that needs no kernel.
 */
import type { FilterContents } from '../../core/filter/contents';
import type { FilterAnswer, FilterQuestion } from '../../core/filter/questions';
import type {
  BlobPort,
  FilterOutcome,
  HostEvent,
  HostPort,
  ObservedHost,
  ObserveScope,
  Step,
  StepResult,
} from '../../core/model/host';
import { ModelHost } from '../../core/plan/model-host';

const BARE: ObservedHost = {
  root: { inode: 4_026_531_840, links: [], routes: [], sysctls: {} },
  namespaces: {},
  filters: [
    {
      interface: 'uplink0',
      ifindex: 2,
      attached: null,
      pin: null,
      contents: { state: 'unknown', detail: null },
    },
  ],
  interrupted: false,
};

export class MemoryHost implements HostPort {
  readonly filterTag = 'f0f0f0f0f0f0f0f0';
  readonly #model = new ModelHost(BARE, {
    filterTag: this.filterTag,
    numbers: { start: 1_000, step: 1 },
    sysctlDefault: '0',
  });
  /** What each filter holds, and how often that was changed. */
  readonly filled = new Map<string, FilterContents>();
  fills = 0;
  /** Why it takes nothing more, as a kernel without memory does; null = it does. */
  refusing: string | null = null;
  readonly #listeners = new Set<(event: HostEvent) => void>();

  /** Only what was asked for, as the kernel's door does it. */
  async observe(scope: ObserveScope): Promise<ObservedHost> {
    const all = this.#model.observed();
    const named = Object.entries(all.namespaces).filter(([name]) =>
      scope.namespaces.includes(name),
    );
    return {
      ...all,
      namespaces: Object.fromEntries(named),
      filters: all.filters.filter(
        (filter) => filter.pin !== null || scope.filters.includes(filter.interface),
      ),
    };
  }

  async applyAll(steps: readonly Step[]): Promise<StepResult[]> {
    const { refusing } = this;
    if (refusing === null) return steps.map((step) => this.#model.apply(step));
    return steps.map(() => ({ ok: false, code: 'ENOMEM', message: refusing, changed: false }));
  }

  /** Where lists are read; null: their names are enough. */
  constructor(private readonly blobs: BlobPort | null = null) {}

  async setFilters(wanted: readonly FilterContents[]): Promise<FilterOutcome[]> {
    this.fills += 1;
    const outcomes: FilterOutcome[] = [];
    for (const contents of wanted) {
      const error = await this.#fill(contents).catch(({ message }: Error) => message);
      outcomes.push({ interface: contents.interface, error, tookMs: 1 });
    }
    return outcomes;
  }

  /** A list that a filter holds already is not read again. */
  async #fill(contents: FilterContents): Promise<string | null> {
    if (this.refusing !== null) return this.refusing;
    const held = this.filled.get(contents.interface)?.lists ?? [];
    for (const { sha256 } of contents.lists) {
      if (!held.some((list) => list.sha256 === sha256)) await this.blobs?.read(sha256);
    }
    this.filled.set(contents.interface, contents);
    return null;
  }

  /** A host in memory has no packets. */
  async ask({ kind }: FilterQuestion): Promise<FilterAnswer> {
    const atMs = Date.now();
    if (kind === 'stats') return { kind, atMs, filters: [] };
    if (kind === 'top') return { kind, atMs, sampleEvery: 0, entries: [] };
    if (kind === 'sampled') return { kind, atMs, sampleEvery: 0, upTo: 0, filters: [] };
    if (kind === 'rehearse') return { kind, atMs, filters: [] };
    if (kind === 'services') return { kind, atMs, services: [] };
    throw new Error('no packet can be traced through a host in memory');
  }

  async watch(_scope: ObserveScope, onEvent: (event: HostEvent) => void) {
    this.#listeners.add(onEvent);
    return { close: () => void this.#listeners.delete(onEvent) };
  }

  close(): void {
    this.#listeners.clear();
  }

  // ---- What somebody else sees and does ----------------------------------------------------------

  observed(): ObservedHost {
    return this.#model.observed();
  }

  /** Somebody else deletes a link of the root, and the kernel tells; false where there is none. */
  deleteLink(name: string): boolean {
    const link = this.#model.root.links.get(name);
    if (!link) return false;
    this.#model.deletePair(this.#model.root, link);
    const event: HostEvent = {
      kernelAtMs: Date.now(),
      namespace: null,
      what: 'link',
      portId: null,
      summary: `link ${name} deleted`,
    };
    for (const listener of this.#listeners) listener(event);
    return true;
  }
}
