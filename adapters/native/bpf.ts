/**
 * Our XDP program on interfaces of the host. Each interface has a directory below the bpf file
 * system that holds the pins of its bpf_link and of its maps; that directory is our mark.
 */
import { mkdirSync, readFileSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { XDP_FLAGS } from '../../core/netlink/consts';
import { MARK } from '../../core/model/ids';
import { codeOf } from './errors';
import { native, type BpfLink, type BpfObject } from './native';

const BPF_FS = '/sys/fs/bpf';
export const XDP_OBJECT = join(__dirname, '../../../bpf/build/xdp_root.bpf.o');
export const XDP_PROGRAM = 'aether_root';
const LINK_PIN = 'link';
/** bpf/include/structs.h: struct counter and its classes. */
const COUNTER_SIZE = 16;
const COUNTER_CLASSES = ['ipv4', 'ipv6', 'other'] as const;

export type XdpMode = 'native' | 'generic';
export interface Counter {
  packets: number;
  bytes: number;
}

const pinsOf = (root: string): string => join(root, MARK.pinDirectory);
/** The bpf file system reserves dots, interface names have them. */
export const escapeName = (name: string): string =>
  name.replace(/[%.]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);

/** Where the root program of an interface has a map pinned. */
export const filterPin = (interfaceName: string, map: string): string =>
  join(pinsOf(BPF_FS), escapeName(interfaceName), map);

export interface PinInfo {
  /** 0: its device is gone. */
  ifindex: number;
  programId: number;
  tag: string;
}

/** The tag of a loaded program; empty where it was unloaded meanwhile. */
export function programTag(id: number): string {
  try {
    const program = native.BpfProgram.openById(id);
    const { tag } = program.info;
    program.close();
    return tag;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  }
}

const absentAsNull = <T>(work: () => T): T | null => {
  try {
    return work();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
};

export class XdpFilters {
  private constructor(
    private readonly root: string,
    private readonly elf: Uint8Array,
    /** Tag of the program that `attach` loads. */
    readonly tag: string,
  ) {}

  /** Mounts the bpf file system where it is missing; loads the program once to learn its tag. */
  static async open(): Promise<XdpFilters> {
    native.bpfFsMount(BPF_FS);
    const elf = readFileSync(XDP_OBJECT);
    const object = await native.BpfObject.load(elf, null, null);
    const program = object.program(XDP_PROGRAM);
    const { tag } = program.info;
    program.close();
    object.close();
    return new XdpFilters(BPF_FS, elf, tag);
  }

  /** Interfaces for which there is a directory of ours. */
  pinned(): string[] {
    return (absentAsNull(() => readdirSync(pinsOf(this.root))) ?? []).map(decodeURIComponent);
  }

  pinInfo(interfaceName: string): PinInfo | null {
    const link = this.openLink(interfaceName);
    if (!link) return null;
    const { ifindex, programId } = link.info;
    link.close();
    return { ifindex, programId, tag: programTag(programId) };
  }

  /** `ifindex` in the namespace of the process. EEXIST where our link is there and alive. */
  async attach(interfaceName: string, ifindex: number, mode: XdpMode): Promise<void> {
    const stale = this.pinInfo(interfaceName);
    if (stale && stale.ifindex !== ifindex) unlinkSync(this.path(interfaceName, LINK_PIN));
    mkdirSync(this.path(interfaceName), { recursive: true });
    await this.withProgram(interfaceName, async (program) => {
      const flags = mode === 'native' ? XDP_FLAGS.DRV_MODE : XDP_FLAGS.SKB_MODE;
      const link = await native.BpfLink.attachXdp(program, ifindex, null, flags);
      // Until the pin stands, the link lives by this fd alone: a crash here leaves nothing.
      try {
        link.pin(this.path(interfaceName, LINK_PIN));
      } finally {
        link.close();
      }
    });
  }

  /** ENOENT without a pin, ENOLINK where its device is gone. */
  async replace(interfaceName: string): Promise<void> {
    const link = native.BpfLink.open(this.path(interfaceName, LINK_PIN));
    try {
      await this.withProgram(interfaceName, (program) => link.update(program));
    } finally {
      link.close();
    }
  }

  /** Takes link, maps and directory away; what is absent is no error. */
  async detach(interfaceName: string): Promise<void> {
    const link = this.openLink(interfaceName);
    try {
      await link?.detach();
    } finally {
      link?.close();
    }
    const pins = absentAsNull(() => readdirSync(this.path(interfaceName)));
    if (!pins) return;
    for (const pin of pins) unlinkSync(this.path(interfaceName, pin));
    rmdirSync(this.path(interfaceName));
    if (this.pinned().length === 0) rmdirSync(pinsOf(this.root));
  }

  /** What entered, summed over CPUs, by class; null without a pin. */
  counters(interfaceName: string): Record<(typeof COUNTER_CLASSES)[number], Counter> | null {
    const map = absentAsNull(() => native.BpfMap.open(this.path(interfaceName, 'counters')));
    if (!map) return null;
    const perCpu = Buffer.alloc(map.info.valueSize);
    const read = (_: string, index: number): Counter => {
      map.lookup(new Uint8Array(Uint32Array.of(index).buffer), perCpu);
      const sum = { packets: 0, bytes: 0 };
      for (let at = 0; at < perCpu.length; at += COUNTER_SIZE) {
        sum.packets += Number(perCpu.readBigUInt64LE(at));
        sum.bytes += Number(perCpu.readBigUInt64LE(at + 8));
      }
      return sum;
    };
    const [ipv4, ipv6, other] = COUNTER_CLASSES.map(read) as [Counter, Counter, Counter];
    map.close();
    return { ipv4, ipv6, other };
  }

  private path(interfaceName: string, ...rest: string[]): string {
    return join(pinsOf(this.root), escapeName(interfaceName), ...rest);
  }

  private openLink(interfaceName: string): BpfLink | null {
    return absentAsNull(() => native.BpfLink.open(this.path(interfaceName, LINK_PIN)));
  }

  /** Maps that are pinned for the interface are reused, so counts survive a new program. */
  private async withProgram(
    interfaceName: string,
    work: (program: ReturnType<BpfObject['program']>) => Promise<void>,
  ): Promise<void> {
    const object = await native.BpfObject.load(this.elf, this.path(interfaceName), null);
    const program = object.program(XDP_PROGRAM);
    try {
      await work(program);
    } finally {
      program.close();
      object.close();
    }
  }
}
