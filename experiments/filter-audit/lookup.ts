/**
 * What Aether's program takes alone, and the bare one beside it: each packet from another source, no
 * device and no stack about (BPF_PROG_TEST_RUN). Of a packet on the wire this is the part that grows
 * with the list.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { native, type BpfMap, type BpfProgram } from '../../adapters/native/native';
import { run } from './commands';
import type { Cell, LookupSample } from './evidence';
import type { Kind } from './filters/filter';
import { COUNT_DROP } from './filters/bare';

const BUILD = join(__dirname, '../../../bpf/build/experiments/filter-audit/bpf');
const PIN = '/sys/fs/bpf/audit-lookup';
const REPEAT = 1_000_000;
const VERDICT = { drop: 1, pass: 2 } as const;
/** What is looked up in full: an IPv4 packet of UDP, 60 bytes, whose source is written each time. */
const PACKET = Buffer.from(
  '020000000001020000000002080045000 02e 0000 0000 40 11 0000 01010101 0a620001 0400 0009 001a 0000'.replaceAll(
    ' ',
    '',
  ),
  'hex',
);
const FRAME_BYTES = 60;

/** A program that is loaded, and the sources of its list. */
export interface Measured extends Cell {
  programId: number;
  sources: Record<Kind, string>;
}

export class Lookups {
  private readonly packet = Buffer.concat([PACKET, Buffer.alloc(FRAME_BYTES - PACKET.length)]);
  private readonly walk: BigUint64Array;
  private readonly sources: Uint32Array;

  private constructor(
    private readonly walker: BpfProgram,
    maps: { walk: BpfMap; sources: BpfMap },
    private readonly base: number,
  ) {
    this.walk = new BigUint64Array(maps.walk.mmap().buffer, 0, 2);
    this.sources = new Uint32Array(maps.sources.mmap().buffer);
  }

  static async open(): Promise<Lookups> {
    const load = (name: string) =>
      native.BpfObject.load(readFileSync(join(BUILD, `${name}.bpf.o`)), null, null);
    const [object, bare] = [await load('lookup'), await load('bare')];
    object.map('measured').pin(`${PIN}-table`);
    const maps = { walk: object.map('walk'), sources: object.map('sources') };
    const base = bare.program('count_drop');
    return new Lookups(object.program('look_up'), maps, base.info.id);
  }

  round(round: number, measured: readonly Measured[]): LookupSample[] {
    const first = measured[0];
    if (first === undefined) return [];
    const base = { filter: COUNT_DROP.name, entries: 0, programId: this.base };
    return [
      this.once(round, { ...base, sources: first.sources }, 'drop'),
      ...measured.flatMap((one) =>
        (['drop', 'pass'] as const).map((kind) => this.once(round, one, kind)),
      ),
    ];
  }

  private once(
    round: number,
    { filter, entries, programId, sources }: Measured,
    kind: Kind,
  ): LookupSample {
    this.put(programId);
    const drawn = readFileSync(sources[kind]);
    const count = drawn.length / 4;
    for (let i = 0; i < count; i++) this.sources[2 * i] = drawn.readUInt32LE(4 * i);
    this.walk.set([0n, BigInt(count)]);
    const { verdict, durationNs } = this.walker.testRun(this.packet, REPEAT);
    if (verdict !== VERDICT[kind]) {
      throw new Error(`${filter} with ${entries}: verdict ${verdict} on what it should ${kind}`);
    }
    return { filter, entries, round, kind, ns: durationNs };
  }

  /** Only by its pin does bpftool know a program. */
  private put(programId: number): void {
    const table = ['bpftool', 'map', 'update', 'pinned', `${PIN}-table`, 'key', '0', '0', '0', '0'];
    run([...table, 'value', 'id', String(programId)]);
  }
}
