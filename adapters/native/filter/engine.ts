/**
 * The filters of a host: programs on interfaces, and what their maps hold. One thing at a time is done
 * to them; sets are built beside that. The order in which packets come to meet something new is that of
 * `bring` (loaded.ts).
 */
import type { FilterContents } from '../../../core/filter/contents';
import { XDP_FLAGS } from '../../../core/netlink/consts';
import type { BlobPort, FilterOutcome, ObservedFilter } from '../../../core/model/host';
import { codeOf } from '../errors';
import { native } from '../native';
import { InterfaceFilter } from './interface-filter';
import * as pins from './pins';
import { XdpProgram } from './program';
import { recipeKey } from './held-set';
import { grown, plan, type Edit } from './in-place';
import type { Sets } from './loaded';
import { SetStore } from './set-store';
import { SampleRing } from './samples';

export type XdpMode = 'native' | 'generic';

/** For a host whose filters hold no lists. */
export const NO_BLOBS: BlobPort = {
  read: async (sha256) => Promise.reject(new Error(`there is no blob ${sha256} here`)),
};

/** Words of the whole set are hashed, so not after each of many edits. */
const SIGN_AFTER_MS = 500;
const DRAIN_MS = 1000;

/** Why a filter does not hold what is wanted; what to do, where somebody can. */
function describe(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  switch (codeOf(error)) {
    case 'ENOMEM':
      return `the kernel has no memory for its sets (${message}): shorten the lists, or give the host more`;
    case 'E2BIG':
      return `its sets are larger than the kernel allows (${message}): shorten the lists`;
    default:
      return message;
  }
}

export class FilterEngine {
  private readonly filters = new Map<string, InterfaceFilter>();
  private readonly store: SetStore;
  readonly samples = new SampleRing();
  /** Settings one after another; what touches the kernel, too, of whatever kind. */
  private settings: Promise<unknown> = Promise.resolve();
  private settingsUnderWay = 0;
  private kernel: Promise<unknown> = Promise.resolve();
  private signTimer: NodeJS.Timeout | null = null;
  private drainTimer: NodeJS.Timeout | null = null;

  private constructor(
    readonly program: XdpProgram,
    blobs: BlobPort,
  ) {
    this.store = new SetStore(blobs);
  }

  /** Mounts the bpf file system where it is missing. `keptAt`: see `XdpProgram.open`. */
  static async open(
    blobs: BlobPort = NO_BLOBS,
    keptAt: string | null = null,
  ): Promise<FilterEngine> {
    native.bpfFsMount(pins.BPF_FS);
    return new FilterEngine(await XdpProgram.open(keptAt), blobs);
  }

  get tag(): string {
    return this.program.tag;
  }

  /** `ifindex` in the namespace of the process. EEXIST where our link is there and alive. */
  attach(name: string, ifindex: number, mode: XdpMode): Promise<void> {
    const flags = mode === 'native' ? XDP_FLAGS.DRV_MODE : XDP_FLAGS.SKB_MODE;
    return this.alone(() => this.filter(name).attach(ifindex, flags));
  }

  /** ENOENT without a pin, ENOLINK where its device is gone. */
  replace(name: string): Promise<void> {
    return this.alone(() => this.filter(name).replace());
  }

  /** Takes link, maps and directory away; what is absent is no error. */
  detach(name: string): Promise<void> {
    return this.alone(async () => {
      await this.filter(name).detach();
      // Sets that a setting has prepared are not in use yet; it sweeps at its end.
      if (this.settingsUnderWay === 0) this.sweep();
    });
  }

  /** Puts back what others have changed. ENOENT where there is no link, or nothing is wanted yet. */
  reload(name: string): Promise<void> {
    return this.alone(() => this.filter(name).reload());
  }

  contents(name: string, pin: pins.PinInfo | null): ObservedFilter['contents'] {
    return this.filters.get(name)?.contents(pin) ?? { state: 'unknown', detail: null };
  }

  /** The same, compared anew: what `contents` says in the second after it. */
  poll(name: string, pin: pins.PinInfo | null): ObservedFilter['contents'] {
    return this.filters.get(name)?.poll(pin) ?? { state: 'unknown', detail: null };
  }

  setFilters(wanted: readonly FilterContents[]): Promise<FilterOutcome[]> {
    this.settingsUnderWay++;
    const turn = this.settings
      .then(() => this.set(wanted))
      .finally(() => void this.settingsUnderWay--);
    this.settings = turn.catch(() => undefined);
    return turn;
  }

  /** Filters that are wanted or attached, by interface. */
  all(): IterableIterator<InterfaceFilter> {
    return this.filters.values();
  }

  find(name: string): InterfaceFilter | undefined {
    return this.filters.get(name);
  }

  /** After adoption the lists are not known yet; names of what decided are then. */
  learn(): Promise<void> {
    return this.store.learn();
  }

  close(): void {
    for (const timer of [this.signTimer, this.drainTimer]) if (timer) clearTimeout(timer);
    if (this.signTimer) this.signAll();
    for (const filter of this.filters.values()) filter.close();
    this.filters.clear();
    this.store.close();
  }

  private async set(wanted: readonly FilterContents[]): Promise<FilterOutcome[]> {
    const startMs = performance.now();
    const names = new Set(wanted.map((contents) => contents.interface));
    for (const filter of this.filters.values()) if (!names.has(filter.name)) filter.forget();
    for (const contents of wanted) {
      await this.alone(async () => this.filter(contents.interface).adopt(contents, this.store));
    }
    const editError = await this.editInPlace(wanted).then(() => null, describe);
    const outcomes: FilterOutcome[] = [];
    for (const contents of wanted) outcomes.push(await this.setOne(contents, startMs, editError));
    this.sweep();
    this.drainTimer ??= setInterval(() => this.drain(), DRAIN_MS).unref();
    // So that a single prefix can be edited at once later on. What fails here is tried again then.
    void this.store.learn().catch(() => undefined);
    return outcomes;
  }

  private async setOne(
    contents: FilterContents,
    startMs: number,
    editError: string | null,
  ): Promise<FilterOutcome> {
    const filter = this.filter(contents.interface);
    let error = editError;
    try {
      if (error === null) await filter.set(contents, this.store, (work) => this.alone(work));
    } catch (thrown) {
      error = describe(thrown);
    }
    filter.problem = error;
    return { interface: contents.interface, error, tookMs: performance.now() - startMs };
  }

  /** In the order of `bring`: what spares sources grows before, and shrinks after the blocked ones change. */
  private async editInPlace(wanted: readonly FilterContents[]): Promise<void> {
    const byName = new Map(wanted.map((contents) => [contents.interface, contents]));
    const filters = [...this.filters.values()].filter((filter) => filter.wanted);
    const edits = plan(filters, byName, (recipe) => this.store.find(recipe) !== null);
    // Reading lists takes a while, in which a look would find filters half-way: before the first edit.
    for (const { set } of edits) await this.store.learnOne(set);
    const sparing = edits.filter(({ role }) => role === 'allow');
    for (const edit of sparing) {
      const singles = grown(edit);
      if (singles) await this.edit(edit, singles);
    }
    if (sparing.length > 0)
      await this.alone(async () => filters.forEach((each) => each.relax(byName)));
    for (const edit of edits) if (edit.role === 'block') await this.edit(edit, edit.target.singles);
    for (const edit of sparing) {
      if (recipeKey(edit.set.recipe) !== recipeKey(edit.target)) {
        await this.edit(edit, edit.target.singles);
      }
    }
  }

  private async edit({ role, set, users }: Edit, singles: readonly string[]): Promise<void> {
    await this.alone(async () => {
      for (const filter of users) filter.unsign();
      const edited = set.edit(singles, performance.now());
      if (!edited || edited.replaced.length === 0) return;
      try {
        for (const filter of users) await filter.placeAgain(role);
      } finally {
        for (const map of edited.former) map.close();
      }
    });
  }

  private filter(name: string): InterfaceFilter {
    let filter = this.filters.get(name);
    if (!filter) {
      filter = new InterfaceFilter(name, this.program);
      this.filters.set(name, filter);
    }
    return filter;
  }

  private sweep(): void {
    const used: Sets[] = [];
    for (const filter of this.filters.values()) used.push(...filter.uses());
    this.store.sweep(used);
  }

  private alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.kernel.then(async () => {
      const end = [...this.filters.values()].map((filter) => filter.busy());
      try {
        return await work();
      } finally {
        for (const each of end) each();
        if ([...this.filters.values()].some((filter) => filter.isUnsigned)) this.signLater();
      }
    });
    this.kernel = turn.catch(() => undefined);
    return turn;
  }

  private signLater(): void {
    this.signTimer ??= setTimeout(() => {
      this.signTimer = null;
      // What fails is tried again, as long as something is unsigned.
      void this.alone(async () => this.signAll()).catch(() => undefined);
    }, SIGN_AFTER_MS).unref();
  }

  private signAll(): void {
    for (const filter of this.filters.values()) filter.sign();
  }

  private drain(): void {
    for (const filter of this.filters.values()) {
      try {
        filter.drain(this.samples);
      } catch {
        // No fd is left for its reader, say: samples stay in the ring until the next time.
      }
    }
  }
}
