/**
 * Looks addresses up by every design in turns, within the kernel (BPF_PROG_TEST_RUN), and says what
 * filling, memory and one more prefix cost. Every design must find the same addresses.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BpfObject, native } from '../../adapters/native/native';
import { has4 } from '../../core/filter/image4';
import { has6 } from '../../core/filter/image6';
import { TrueSet } from '../../core/filter/true-set';
import { EMPTY } from '../../core/filter/algebra';
import type { PrefixSet } from '../../core/filter/types';
import { type Design, DESIGNS, type Family, type Filled } from './designs';
import { drawAddresses4, drawAddresses6, drawList, type Kind, KINDS } from './lists';

const OBJECT = join(__dirname, '../../../bpf/build/experiments/filter-lookup/lookup.bpf.o');
const SEED = 20_261_126;
const QUERIES = 2 ** 20;
const TOGGLES = 100;
const FRAME = Buffer.alloc(64);

export interface Plan {
  sizes: number[];
  rounds: number;
  /** Look-ups of a design in a round. */
  lookups: number;
}
export const FULL: Plan = { sizes: [1_000, 100_000, 1_000_000], rounds: 11, lookups: 2 ** 18 };
export const SMOKE: Plan = { sizes: [20_000], rounds: 3, lookups: 2 ** 15 };

/** What was measured of one design with a list of one size. */
export interface Row {
  family: Family;
  design: string;
  prefixes: number;
  /** Per look-up, taking the address not counted: one sample a round. */
  ns: Record<Kind, number[]>;
  fillCpuMs: number;
  bytes: number;
  /** Of one host more or less. */
  updateUs: number[];
}

/** Why this can't run here; false where it can. */
export function cannotRun(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync(OBJECT) ? false : `${OBJECT} is missing: run make setup`;
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

class Bench {
  private readonly programs = new Map<string, ReturnType<BpfObject['program']>>();
  constructor(private readonly object: BpfObject) {}

  private program(name: string) {
    const program = this.programs.get(name) ?? this.object.program(name);
    this.programs.set(name, program);
    return program;
  }

  /** Mean ns of so many runs, and how many of them found their address. */
  private run(name: string, lookups: number): { ns: number; hits: number } {
    const state = this.object.map('state').mmap();
    const hits = (): number =>
      Number(new DataView(state.buffer, state.byteOffset).getBigUint64(8, true));
    const before = hits();
    const { durationNs } = this.program(name).testRun(FRAME, lookups);
    return { ns: durationNs, hits: hits() - before };
  }

  /** All designs from the same address on, the first of them another one each round. */
  private round(designs: readonly Design[], lookups: number, round: number): Map<string, number> {
    const state = this.object.map('state').mmap();
    const view = new DataView(state.buffer, state.byteOffset);
    const family = designs[0]?.family ?? 4;
    const from = BigInt((round * lookups) % QUERIES);
    const rewind = (): void => view.setBigUint64(0, from, true);
    rewind();
    const base = this.run(`base${family}`, lookups).ns;
    const found = new Map<string, number>();
    const taken = new Map<string, number>();
    for (let i = 0; i < designs.length; i++) {
      const design = designs[(i + round) % designs.length];
      if (!design) continue;
      rewind();
      const { ns, hits } = this.run(design.program, lookups);
      taken.set(design.name, ns - base);
      found.set(design.name, hits);
    }
    if (new Set(found.values()).size !== 1)
      throw new Error(`They do not find the same: ${JSON.stringify([...found])}`);
    return taken;
  }

  private putQueries(family: Family, list: PrefixSet, kind: Kind): void {
    const bytes = this.object.map(`queries${family}`).mmap();
    const out = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const set = new TrueSet([list], EMPTY, SEED);
    if (family === 4) {
      const words = set.image4?.words ?? new Uint32Array(0);
      drawAddresses4(list, kind, out, (address) => has4(words, address[0] ?? 0));
      return;
    }
    const words = set.image6?.words ?? new Uint32Array(0);
    const drawn = new Uint32Array(out.length);
    drawAddresses6(list, kind, drawn, (address) => has6(words, address));
    // struct set6_key: two u64 in host order.
    for (let i = 0; i < out.length; i++) out[i] = drawn[i ^ 1] ?? 0;
  }

  async measure(family: Family, prefixes: number, plan: Plan): Promise<Row[]> {
    const list = drawList(prefixes, SEED);
    const designs = DESIGNS.filter((design) => design.family === family);
    const rows: Row[] = [];
    const filled: Filled[] = [];
    try {
      for (const design of designs) {
        const before = cpuMs();
        const one = await design.fill(this.object, list);
        const fillCpuMs = cpuMs() - before;
        filled.push(one);
        const updateUs = Array.from({ length: TOGGLES }, (_, i) => {
          const began = performance.now();
          one.toggle(i % 2 === 0);
          return (performance.now() - began) * 1000;
        });
        const ns = { hit: [], hot: [], miss: [] };
        rows.push({
          family,
          design: design.name,
          prefixes,
          ns,
          fillCpuMs,
          bytes: one.bytes,
          updateUs,
        });
      }
      for (const kind of KINDS) this.measureKind(kind, list, designs, rows, plan);
    } finally {
      for (const one of filled) await one.close();
    }
    return rows;
  }

  private measureKind(
    kind: Kind,
    list: PrefixSet,
    designs: readonly Design[],
    rows: readonly Row[],
    { rounds, lookups }: Plan,
  ): void {
    this.putQueries(designs[0]?.family ?? 4, list, kind);
    for (let round = -1; round < rounds; round++) {
      const taken = this.round(designs, lookups, round + 1);
      // The first round warms up.
      if (round < 0) continue;
      for (const row of rows) row.ns[kind].push(taken.get(row.design) ?? NaN);
    }
  }
}

export async function measureAll(plan: Plan): Promise<Row[]> {
  const refusal = cannotRun();
  if (refusal !== false) throw new Error(`The look-ups can't be measured: ${refusal}`);
  const object = await native.BpfObject.load(readFileSync(OBJECT), null, null);
  try {
    const bench = new Bench(object);
    const rows: Row[] = [];
    for (const family of [4, 6] as const) {
      for (const prefixes of plan.sizes)
        rows.push(...(await bench.measure(family, prefixes, plan)));
    }
    return rows;
  } finally {
    object.close();
  }
}
