/**
 * The latency tracker's programs and maps in the kernel (bpf/latency.bpf.c). What is pinned below
 * `aether-latency` in the bpf file system is ours, and goes on counting while no agent runs; only what
 * is pinned there is ever taken away.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { type LatencyWish, trackWord } from '../../core/latency/choice';
import {
  assignSlots,
  CONFIG_BYTES,
  decodeConfig,
  encodeConfig,
  LATENCY_ABI,
  type LatencyConfig,
  type Slot,
  SLOTS,
} from '../../core/latency/config';
import { type Histogram, HISTOGRAM_BYTES, sumOverCpus } from '../../core/latency/histogram';
import { BPF_FS, escapeName, pinPath } from './filter/pins';
import { codeOf } from './errors';
import { dropLink, HeldLink, pinsIn, unlinkIfThere } from './held-link';
import {
  native,
  type BpfLink,
  type BpfMap,
  type BpfObject,
  type BpfProgram,
  type NlSocket,
} from './native';
import { inspectName, NetNs } from './netns';
import type { Rtnl } from './rtnl';

const ROOT = join(BPF_FS, 'aether-latency');
export const LATENCY_OBJECT = join(__dirname, '../../../bpf/build/latency.bpf.o');
const MAPS = ['latency_histograms', 'latency_config', 'latency_netns'] as const;
const TCP_PIN = 'tcp';
const EGRESS_PIN = 'egress-';
/** bpf/include/stage_stamp.h. */
const RUN_MAP = 'latency_run';

/** Keys of `latency_histograms`: LATENCY_TCP, LATENCY_FORWARD. */
const TCP_KEY = 0;
const FORWARD_KEY = 1;

const NETLINK_ROUTE = 0;
/** asm-generic/socket.h: SOL_SOCKET, SO_TIMESTAMPNS_OLD. */
const SOL_SOCKET = 1;
const SO_TIMESTAMPNS = 35;

/** Namespaces that are wanted no more, found in one look: more of them go with the next. */
const STRAY_NAMESPACES = 64;

const CLOCK_FRAME_BYTES = 64;
/** TAI − UTC is a whole number of seconds: readings that took less than this tell it. */
const CLOCK_READ_MAX_MS = 200;
const CLOCK_READS = 5;

/** `unsupported`: this kernel can't; `failed`: it should have worked. */
export type Measure = { state: 'on' } | { state: 'unsupported' | 'failed'; reason: string };

export interface LatencyReport {
  /** From a filter to where the packet leaves. Needs tcx (Linux 6.6). */
  forward: Measure;
  /** From reception to the reader of a TCP socket. Needs tp_btf and bpf_ktime_get_tai_ns (6.1). */
  tcp: Measure;
}

/** What is open while it tracks. */
interface Session {
  object: BpfObject;
  host: NetNs;
  rtnl: Rtnl;
}

const isLink = (pin: string): boolean => pin === TCP_PIN || pin.startsWith(EGRESS_PIN);
const key = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);

export class LatencyTracker {
  private session: Session | null = null;
  private config: LatencyConfig | null = null;
  private ensured = false;
  /** While one socket of the machine asks for it, the kernel notes when each packet came. */
  private stamping: NlSocket | null = null;
  private readonly links = new Map<string, HeldLink>();

  /**
   * Brings programs, links and maps to what is wished for, and finds again what an earlier agent has
   * pinned. To be called again and again, one call after the other: where all is well it reads only.
   */
  async ensure(wish: LatencyWish): Promise<LatencyReport> {
    this.session ??= await openSession();
    this.repin();
    const [interfaces, egress] = await Promise.all([
      this.resolve(wish.ingress),
      this.resolve(wish.egress),
    ]);
    const unplaced = this.configure(wish, interfaces);
    this.setNamespaces(wish.namespaces);
    const [forward, tcp] = [await this.ensureEgress(egress), await this.ensureTcp()];
    this.ensured = true;
    if (unplaced.length === 0 || forward.state !== 'on') return { forward, tcp };
    const reason = `${SLOTS} interfaces can have a histogram, not ${unplaced.join(', ')}`;
    return { forward: { state: 'failed', reason }, tcp };
  }

  /** Takes all of it away; what is absent is no error. */
  async remove(): Promise<void> {
    this.close();
    const pins = pinsIn(ROOT);
    for (const pin of pins.filter(isLink)) await dropLink(join(ROOT, pin));
    for (const pin of pins) unlinkIfThere(join(ROOT, pin));
    if (existsSync(ROOT)) rmdirSync(ROOT);
  }

  /** From a filter to where the packet left: by interface of entry, since it is tracked. */
  forward(): Map<string, Histogram> {
    const slots = this.config?.slots ?? [];
    return this.withMap('latency_histograms', (map) => {
      const read = slots.flatMap((slot, i) =>
        slot === null ? [] : ([[slot.name, readHistogram(map, FORWARD_KEY + i)]] as const),
      );
      return new Map(read);
    });
  }

  /** From reception to the TCP readers. */
  tcp(): Histogram {
    return this.withMap('latency_histograms', (map) => readHistogram(map, TCP_KEY));
  }

  /** The filters' own time, by interface: of those that are attached. */
  run(): Map<string, Histogram> {
    const names = (this.config?.slots ?? []).flatMap((slot) => slot?.name ?? []);
    return readRuns(names);
  }

  /** All of it stands: from here on nothing is missed. */
  get isOn(): boolean {
    return this.ensured;
  }

  /** Lets go; programs and histograms stay, TCP readers are not timed until the next `ensure`. */
  close(): void {
    for (const link of this.links.values()) link.close();
    this.links.clear();
    this.stamping?.close();
    this.session?.object.close();
    this.session?.host.close();
    this.session = this.config = this.stamping = null;
    this.ensured = false;
  }

  /** Somebody may have taken the pins away; what holds the maps is still there. */
  private repin(): void {
    mkdirSync(ROOT, { recursive: true });
    for (const name of MAPS) {
      const path = join(ROOT, name);
      if (!existsSync(path)) this.withMap(name, (map) => map.pin(path));
    }
  }

  private async resolve(names: readonly string[]): Promise<Slot[]> {
    const { links } = this.opened().rtnl;
    const found = await Promise.all(names.map((name) => links.get({ name })));
    return names.map((name, i) => ({ name, ifindex: found[i]?.index ?? 0 }));
  }

  /** The interfaces for which there is no room. */
  private configure(wish: LatencyWish, interfaces: readonly Slot[]): string[] {
    return this.withMap('latency_config', (map) => {
      const bytes = new Uint8Array(CONFIG_BYTES);
      map.lookup(key(0), bytes);
      const former = decodeConfig(bytes);
      const { slots, fresh, unplaced } = assignSlots(former.slots, interfaces);
      for (const slot of fresh) this.clear(FORWARD_KEY + slot);
      const taiOffsetNs = this.taiOffsetNs() ?? former.taiOffsetNs;
      this.config = { abi: LATENCY_ABI, track: trackWord(wish), taiOffsetNs, slots };
      const wanted = encodeConfig(this.config);
      if (Buffer.compare(wanted, bytes) !== 0) map.update(key(0), wanted, 0);
      return unplaced;
    });
  }

  private clear(index: number): void {
    this.withMap('latency_histograms', (map) =>
      map.update(key(index), new Uint8Array(map.info.valueSize), 0),
    );
  }

  /** Null where the machine was too busy to tell. */
  private taiOffsetNs(): bigint | null {
    const program = this.program('latency_clock');
    try {
      for (let i = 0; i < CLOCK_READS; i++) {
        const before = Date.now();
        const { packet } = program.testRun(Buffer.alloc(CLOCK_FRAME_BYTES), 1);
        const tookMs = Date.now() - before;
        if (tookMs < 0 || tookMs > CLOCK_READ_MAX_MS) continue;
        const seconds = Math.round((Number(packet.readBigUInt64LE(0)) / 1e6 - before) / 1000);
        return BigInt(seconds) * 1_000_000_000n;
      }
      return null;
    } finally {
      program.close();
    }
  }

  private setNamespaces(names: readonly string[]): void {
    const wanted = new Set([this.opened().host.id]);
    for (const name of names) {
      const found = inspectName(name);
      if (found.state === 'mounted') wanted.add(found.inode);
    }
    this.withMap('latency_netns', (map) => {
      const out = new Uint8Array((wanted.size + STRAY_NAMESPACES) * 4);
      const known = new Set(new Uint32Array(out.buffer, 0, map.keys(null, out)));
      for (const inode of known) if (!wanted.has(inode)) map.delete(key(inode));
      for (const inode of wanted) if (!known.has(inode)) map.update(key(inode), key(1), 0);
    });
  }

  private async ensureEgress(interfaces: readonly Slot[]): Promise<Measure> {
    const present = interfaces.filter(({ ifindex }) => ifindex !== 0);
    const wanted = new Map(present.map((one) => [EGRESS_PIN + escapeName(one.name), one.ifindex]));
    for (const pin of pinsIn(ROOT)) {
      if (pin.startsWith(EGRESS_PIN) && !wanted.has(pin)) await this.drop(pin);
    }
    return measure(async () => {
      for (const [pin, ifindex] of wanted) {
        await this.hold(pin, 'latency_egress', ifindex, (program) =>
          native.BpfLink.attachTcx(program, ifindex, null, 'egress'),
        );
      }
    });
  }

  private ensureTcp(): Promise<Measure> {
    return measure(async () => {
      await this.hold(TCP_PIN, 'latency_deliver', 0, (program) =>
        native.BpfLink.attachTracing(program),
      );
      if (this.stamping !== null) return;
      this.stamping = await native.NlSocket.open(null, NETLINK_ROUTE);
      this.stamping.setOpt(SOL_SOCKET, SO_TIMESTAMPNS, 1);
    });
  }

  private async hold(
    pin: string,
    programName: string,
    ifindex: number,
    attach: (program: BpfProgram) => Promise<BpfLink>,
  ): Promise<void> {
    const held = this.links.get(pin);
    if (held?.isRight(ifindex)) return;
    held?.close();
    this.links.delete(pin);
    const path = join(ROOT, pin);
    const mapId = this.withMap('latency_histograms', (map) => map.info.id);
    const program = this.program(programName);
    try {
      this.links.set(pin, await HeldLink.ensure({ path, ifindex, program, mapId, attach }));
    } finally {
      program.close();
    }
  }

  private async drop(pin: string): Promise<void> {
    this.links.get(pin)?.close();
    this.links.delete(pin);
    await dropLink(join(ROOT, pin));
  }

  private opened(): Session {
    if (this.session === null) throw new Error('the latency tracker is off');
    return this.session;
  }

  private program(name: string): BpfProgram {
    return this.opened().object.program(name);
  }

  private withMap<T>(name: (typeof MAPS)[number], work: (map: BpfMap) => T): T {
    const map = this.opened().object.map(name);
    try {
      return work(map);
    } finally {
      map.close();
    }
  }
}

/** Pinned maps of another layout go, and what they counted with them. */
async function openSession(): Promise<Session> {
  native.bpfFsMount(BPF_FS);
  mkdirSync(ROOT, { recursive: true });
  if (!mapsFit()) for (const name of MAPS) unlinkIfThere(join(ROOT, name));
  const object = await native.BpfObject.load(readFileSync(LATENCY_OBJECT), ROOT, null);
  const host = NetNs.host();
  try {
    return { object, host, rtnl: await host.rtnl() };
  } catch (error) {
    host.close();
    object.close();
    throw error;
  }
}

async function measure(work: () => Promise<void>): Promise<Measure> {
  try {
    await work();
    return { state: 'on' };
  } catch (error) {
    // A kernel that has no such hook finds the request invalid.
    const state = codeOf(error) === 'EINVAL' ? 'unsupported' : 'failed';
    return { state, reason: (error as Error).message };
  }
}

/** Whether the pinned maps are those of this program; also where there are none yet. */
function mapsFit(): boolean {
  const path = join(ROOT, 'latency_config');
  if (!existsSync(path)) return true;
  const map = native.BpfMap.open(path);
  try {
    const bytes = new Uint8Array(map.info.valueSize);
    if (bytes.length !== CONFIG_BYTES || !map.lookup(key(0), bytes)) return false;
    const { abi } = decodeConfig(bytes);
    return abi === LATENCY_ABI || abi === 0; // 0: not configured yet
  } finally {
    map.close();
  }
}

function readHistogram(map: BpfMap, index: number): Histogram {
  const values = new Uint8Array(map.info.valueSize);
  map.lookup(key(index), values);
  return sumOverCpus(values);
}

/** The filters' own: their root programs count, so they are pinned with those. */
function readRuns(interfaces: readonly string[]): Map<string, Histogram> {
  const runs = new Map<string, Histogram>();
  for (const name of interfaces) {
    const path = pinPath(name, RUN_MAP);
    if (!existsSync(path)) continue;
    const map = native.BpfMap.open(path);
    if (map.info.valueSize % HISTOGRAM_BYTES === 0) runs.set(name, readHistogram(map, 0));
    map.close();
  }
  return runs;
}
