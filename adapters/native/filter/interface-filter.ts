/** The filter of one interface: what it shall hold, and what is attached there now. */
import { unlinkSync } from 'node:fs';
import type { FilterContents } from '../../../core/filter/contents';
import type { ObservedFilter } from '../../../core/model/host';
import { native, type BpfLink, type BpfProgram } from '../native';
import type { SetName } from './abi';
import { relax, unsign } from './config';
import { FilterMaps } from './filter-maps';
import { recipeKey, type HeldSet } from './held-set';
import { LiveFilter } from './live';
import * as loaded from './loaded';
import { migrate, settleNext, unpinUnfit } from './migrate';
import * as pins from './pins';
import type { XdpProgram } from './program';
import type { SampleRing } from './samples';
import { recipesOf } from './recipes';
import type { SetStore } from './set-store';

type Contents = ObservedFilter['contents'];
/** Runs work on the kernel's side of filters when no other such work is under way. */
type Alone = <T>(work: () => Promise<T>) => Promise<T>;
type Both = Partial<Record<SetName, HeldSet>>;

const UNKNOWN: Contents = { state: 'unknown', detail: null };
const RIGHT: Contents = { state: 'right', detail: null };
const DRAIN_BYTES = 256 * 1024;
/** Words are compared that long after a poll did so at the earliest; polls come each 900 ms. */
const POLLED_MS = 1_000;

export class FilterError extends Error {
  constructor(
    readonly code: 'absent' | 'older',
    message: string,
  ) {
    super(message);
  }
}

export class InterfaceFilter {
  wanted: loaded.Loaded | null = null;
  live: LiveFilter | null = null;
  /** Why it does not hold what was wanted last; null = it does. */
  problem: string | null = null;
  private unsigned = false;
  private works = 0;
  private seen: Contents = UNKNOWN;
  /** When a poll saw that, until something is done here; until POLLED_MS later it stands for a look. */
  private polledMs = -Infinity;

  constructor(
    readonly name: string,
    private readonly program: XdpProgram,
  ) {}

  async attach(ifindex: number, flags: number): Promise<void> {
    const stale = pins.pinInfo(this.name);
    // Of a device that went, or no link at all.
    if (stale?.ifindex !== ifindex)
      pins.absentAsNull(() => unlinkSync(pins.pinPath(this.name, pins.LINK_PIN)));
    pins.removeNext(this.name);
    pins.makeDirectory(pins.pinPath(this.name));
    if (this.live?.handle.info.tag === this.program.tag) {
      await this.attachAgain(this.live, ifindex, flags);
      return;
    }
    if (!stale || stale.ifindex !== ifindex) unpinUnfit(this.name, this.program);
    await this.program.load(pins.pinPath(this.name), async (program, maps) => {
      try {
        await this.fill(maps);
        await this.link(program, ifindex, flags);
      } catch (error) {
        maps.close();
        throw error;
      }
      this.becomes(program, maps);
    });
  }

  /** The link went, the program and its maps did not: we hold them. Neither is loaded anew. */
  private async attachAgain(live: LiveFilter, ifindex: number, flags: number): Promise<void> {
    if (this.wanted) await this.bring(live, {});
    live.repin();
    await this.link(live.handle, ifindex, flags);
  }

  /** Until the pin stands, the link lives by a handle alone: a crash here leaves nothing. */
  private async link(program: BpfProgram, ifindex: number, flags: number): Promise<void> {
    const link = await native.BpfLink.attachXdp(program, ifindex, null, flags);
    try {
      link.pin(pins.pinPath(this.name, pins.LINK_PIN));
    } finally {
      link.close();
    }
  }

  async replace(): Promise<void> {
    const link = native.BpfLink.open(pins.pinPath(this.name, pins.LINK_PIN));
    try {
      settleNext(this.name, link);
      const inUse = this.program.inUse(link.info.programId);
      if (inUse?.kind === 'older') await this.migrate(link, inUse.why);
      else await this.exchange(link);
    } finally {
      link.close();
    }
  }

  async detach(): Promise<void> {
    const link = pins.openLink(this.name);
    try {
      await link?.detach();
    } finally {
      link?.close();
    }
    this.live?.close();
    this.live = null;
    pins.removeDirectory(this.name);
  }

  async reload(): Promise<void> {
    const live = this.sync();
    if (!live) throw new FilterError('absent', `no filter of ours is attached to ${this.name}`);
    if (!this.wanted) throw new FilterError('absent', `nothing is wanted of ${this.name} yet`);
    live.repin();
    this.unsign();
    if (live.loaded) await loaded.restore(live.maps, live.loaded);
    else await this.bring(live, {});
  }

  /** Takes over what an agent before this one has loaded, where it is whole and what is wanted. */
  adopt(contents: FilterContents, store: SetStore): void {
    if (this.live?.loaded) return;
    const live = this.follow();
    if (!live || 'older' in live || !loaded.isContent(live.maps, contents)) return;
    const found = loaded.loadedOf(contents, store.adopt(live.maps, recipesOf(contents)));
    if (!loaded.isSigned(live.maps, found)) {
      store.discard(found.sets);
      return;
    }
    store.keep(found.sets);
    live.repin();
    live.loaded = found;
    this.wanted = found;
  }

  /** Throws where it goes on with what it had. */
  async set(contents: FilterContents, store: SetStore, alone: Alone): Promise<void> {
    const wanted = loaded.loadedOf(contents, await store.prepare(recipesOf(contents)));
    await alone(async () => {
      this.wanted = wanted;
      const live = this.sync();
      if (!live || loaded.isSame(live.loaded, wanted)) return;
      const both = live.loaded ? await this.bothOf(live.loaded, wanted, store) : {};
      await this.bring(live, both);
      live.repin();
    });
  }

  /** Nothing is wanted of it any more; it stays as it is until it is detached. */
  forget(): void {
    this.wanted = null;
    this.problem = null;
    this.polledMs = -Infinity;
  }

  contents(pin: pins.PinInfo | null): Contents {
    const isPolled = performance.now() - this.polledMs < POLLED_MS && this.isAttached(pin);
    if (this.works === 0 && !isPolled) this.seen = this.look(pin);
    return this.seen;
  }

  /** Compares, as somebody does once a second; who looks in between goes by what was found. */
  poll(pin: pins.PinInfo | null): Contents {
    this.polledMs = -Infinity;
    const seen = this.contents(pin);
    if (this.works === 0) this.polledMs = performance.now();
    return seen;
  }

  /** Until the returned function is called, what is there is in motion: no difference is one. */
  busy(): () => void {
    this.works++;
    this.polledMs = -Infinity;
    return () => void this.works--;
  }

  uses(): loaded.Sets[] {
    return [this.wanted, this.live?.loaded].flatMap((each) => (each ? [each.sets] : []));
  }

  /** Whether the same sources would be spared as are now. */
  sparesSame(contents: FilterContents): boolean {
    const now = this.live?.loaded?.contents ?? this.wanted?.contents;
    if (!now || now.allow.mode !== contents.allow.mode) return false;
    const [before, after] = [recipesOf(now), recipesOf(contents)];
    const key = (recipe: typeof before.allow): string => (recipe ? recipeKey(recipe) : '');
    return key(before.failsafe) === key(after.failsafe) && key(before.allow) === key(after.allow);
  }

  /** Whether only prefixes that are allowed or blocked one by one would differ from what it holds. */
  sameButSingles(contents: FilterContents): boolean {
    const now = this.live?.loaded?.contents ?? this.wanted?.contents;
    return now !== undefined && loaded.hashButSingles(now) === loaded.hashButSingles(contents);
  }

  /** Sources that it shall allow are spared from now on, as soon as they are in the set. */
  relax(wanted: ReadonlyMap<string, FilterContents>): void {
    const [live, contents] = [this.live, wanted.get(this.name)];
    if (!live?.loaded || !contents) return;
    relax(live.maps.config, loaded.loadedOf(contents, live.loaded.sets).config);
  }

  /** The maps of an edited set are others now. */
  async placeAgain(name: SetName): Promise<void> {
    const { live } = this;
    if (live?.loaded) await loaded.place(live.maps, name, live.loaded.sets[name]);
  }

  unsign(): void {
    this.unsigned = true;
    if (this.live) unsign(this.live.maps.config);
  }

  get isUnsigned(): boolean {
    return this.unsigned && this.live?.loaded != null;
  }

  /** Says in the maps that they are whole, for an agent that comes after this one. */
  sign(): void {
    if (!this.isUnsigned || !this.live?.loaded) return;
    loaded.signLoaded(this.live.maps, this.live.loaded);
    this.unsigned = false;
  }

  drain(samples: SampleRing): void {
    if (!this.live || this.works > 0 || this.live.loaded?.contents.sampleEvery === 0) return;
    samples.add(this.name, this.live.maps.drain(DRAIN_BYTES));
  }

  close(): void {
    this.live?.close();
    this.live = null;
  }

  /** Before anything is attached: as wanted, or as one that only counts, where nothing was wanted yet. */
  private async fill(maps: FilterMaps): Promise<void> {
    if (this.wanted) await loaded.bring(maps, this.wanted, {});
    else loaded.fillPlain(maps);
  }

  private becomes(program: BpfProgram, maps: FilterMaps): void {
    this.live?.close();
    this.live = new LiveFilter(this.name, program.info.id, maps);
    this.live.loaded = this.wanted;
    this.live.repin();
    this.unsigned = true;
  }

  /** Another program on the same maps; pins that were lost come back first, or it would get new ones. */
  private async exchange(link: BpfLink): Promise<void> {
    this.sync()?.repin();
    await this.program.load(pins.pinPath(this.name), async (program, maps) => {
      try {
        await link.update(program);
        if (this.live) this.live.programId = program.info.id;
      } finally {
        maps.close();
      }
    });
  }

  private async migrate(link: BpfLink, why: string): Promise<void> {
    if (!this.wanted && pins.isPinned(this.name, 'sets4')) {
      throw new FilterError('older', `${why}, and what it shall hold is not known yet`);
    }
    const migrated = await migrate(this.name, this.program, link, (maps) => this.fill(maps));
    this.live?.close();
    this.live = migrated;
    this.live.loaded = this.wanted;
    this.live.repin();
    this.unsigned = true;
  }

  private async bring(live: LiveFilter, both: Both): Promise<void> {
    const { wanted } = this;
    if (!wanted) return;
    this.unsign();
    live.loaded = null;
    await loaded.bring(live.maps, wanted, both);
    live.loaded = wanted;
  }

  private async bothOf(
    before: loaded.Loaded,
    after: loaded.Loaded,
    store: SetStore,
  ): Promise<Both> {
    const both: Both = {};
    for (const name of ['failsafe', 'allow'] as const) {
      const singles = loaded.growth(before, after, name);
      if (singles) both[name] = await store.build({ role: name, lists: [], singles });
    }
    return both;
  }

  /** Handles on what the program of our link reads now; null where there is no such link. */
  private sync(): LiveFilter | null {
    const found = this.follow();
    if (found !== null && 'older' in found) {
      throw new FilterError('older', `${found.older}: its program is replaced first`);
    }
    return found;
  }

  private follow(): LiveFilter | { older: string } | null {
    const pin = pins.pinInfo(this.name);
    if (!pin || pin.ifindex === 0) return null;
    if (this.live?.programId === pin.programId) return this.live;
    const inUse = this.program.inUse(pin.programId);
    if (inUse?.kind !== 'current') return inUse && { older: inUse.why };
    if (this.live && this.isOn(this.live, inUse.ids)) this.live.programId = pin.programId;
    else {
      this.live?.close();
      this.live = new LiveFilter(this.name, pin.programId, FilterMaps.byIds(inUse.ids));
    }
    return this.live;
  }

  private isOn(live: LiveFilter, ids: Record<pins.MapName, number>): boolean {
    return pins.MAPS.every((name) => live.maps.idOf(name) === ids[name]);
  }

  private isAttached(pin: pins.PinInfo | null): boolean {
    return pin !== null && pin.ifindex !== 0 && pin.programId === this.live?.programId;
  }

  private look(pin: pins.PinInfo | null): Contents {
    const { live } = this;
    if (!this.wanted || !live?.loaded || !pin || pin.ifindex === 0) return UNKNOWN;
    if (live.programId !== pin.programId) {
      const inUse = this.program.inUse(pin.programId);
      if (inUse?.kind !== 'current') return UNKNOWN;
      if (!this.isOn(live, inUse.ids)) {
        return { state: 'missing', detail: 'its program reads other maps' };
      }
      live.programId = pin.programId;
    }
    return live.difference() ?? RIGHT;
  }
}
