/** Our XDP program: loaded onto maps that are there or new ones, and told what it is made for. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { release, version } from 'node:os';
import { dirname } from 'node:path';
import { CheckedFile } from '../../state/checked-file';
import { native, type BpfObject, type BpfProgram } from '../native';
import { CONFIG, FILTER_ABI } from './abi';
import { FilterMaps } from './filter-maps';
import { MAPS, programInfo, XDP_OBJECT, XDP_PROGRAM, type MapName } from './pins';

type Shape = string;

/** Ids of the maps that a program works on; `older`: it can't be given what we would give it. */
export type InUse =
  { kind: 'current'; ids: Record<MapName, number> } | { kind: 'older'; why: string };

/** What only the kernel can say of our program, after its verifier has read it: 200 ms of one core. */
export interface Known {
  /** The object and the kernel of which it is true. */
  of: string;
  tag: string;
  shapes: Partial<Record<MapName, Shape>>;
}

export class XdpProgram {
  private constructor(
    private readonly elf: Uint8Array,
    private readonly known: Known,
  ) {}

  /** `keptAt`: a file that remembers, for the next agent, what was learned by loading; null: none. */
  static async open(keptAt: string | null = null): Promise<XdpProgram> {
    const elf = readFileSync(XDP_OBJECT);
    const hash = createHash('sha256').update(elf).digest('hex');
    const of = `${hash} with ${MAPS.join()} on ${release()} ${version()}`;
    const file = keptAt === null ? null : new CheckedFile<Known>(keptAt);
    const kept = await file?.load().catch(() => null);
    if (kept?.kind === 'value' && kept.value.of === of) return new XdpProgram(elf, kept.value);
    const known = { of, ...(await learn(elf)) };
    if (file) await keep(file, known);
    return new XdpProgram(elf, known);
  }

  /** Tag of the program that `load` loads. */
  get tag(): string {
    return this.known.tag;
  }

  /** Maps that are pinned in `directory` are reused, others pinned there; null: none is pinned. */
  async load<T>(
    directory: string | null,
    work: (program: BpfProgram, maps: FilterMaps) => Promise<T>,
  ): Promise<T> {
    const object = await native.BpfObject.load(this.elf, directory, null);
    try {
      return await withHandles(object, (program, maps) => {
        this.known.tag = program.info.tag; // whatever was remembered, this is so
        return work(program, maps);
      });
    } finally {
      object.close();
    }
  }

  /** Null where the program went meanwhile. */
  inUse(programId: number): InUse | null {
    const info = programInfo(programId);
    if (!info) return null;
    const ids: Partial<Record<MapName, number>> = {};
    for (const id of info.mapIds) {
      const map = native.BpfMap.openById(id);
      const { name } = map.info;
      const shape = shapeOf(map.info);
      map.close();
      const known = this.known.shapes[name as MapName];
      if (known === undefined) continue;
      if (known !== shape) return { kind: 'older', why: `its map ${name} has another shape` };
      ids[name as MapName] = id;
    }
    const missing = MAPS.find((name) => ids[name] === undefined);
    if (missing !== undefined) return { kind: 'older', why: `it has no map ${missing}` };
    return abiOf(ids as Record<MapName, number>);
  }

  /** Whether pinned maps could be reused, as far as they are there. */
  fits(name: MapName, info: Parameters<typeof shapeOf>[0]): boolean {
    return this.known.shapes[name] === shapeOf(info);
  }
}

async function learn(elf: Uint8Array): Promise<Omit<Known, 'of'>> {
  const object = await native.BpfObject.load(elf, null, null);
  const program = object.program(XDP_PROGRAM);
  const { tag } = program.info;
  const shapes: Known['shapes'] = {};
  for (const name of MAPS) {
    const map = object.map(name);
    shapes[name] = shapeOf(map.info);
    map.close();
  }
  program.close();
  object.close();
  return { tag, shapes };
}

/** On a full disk the next agent learns it anew. */
const keep = (file: CheckedFile<Known>, known: Known): Promise<void> =>
  mkdir(dirname(file.path), { recursive: true, mode: 0o700 })
    .then(() => file.save(known))
    .catch(() => undefined);

const shapeOf = (info: {
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
}): Shape => [info.type, info.keySize, info.valueSize, info.maxEntries, info.flags].join(' ');

/** 0: made, but not filled yet. */
function abiOf(ids: Record<MapName, number>): InUse {
  const map = native.BpfMap.openById(ids.config);
  const value = Buffer.alloc(CONFIG.size);
  map.lookup(new Uint8Array(4), value);
  map.close();
  const abi = value.readUInt32LE(CONFIG.abi);
  if (abi === 0 || abi === FILTER_ABI) return { kind: 'current', ids };
  return { kind: 'older', why: `its maps are of ABI ${abi}, this agent's of ${FILTER_ABI}` };
}

async function withHandles<T>(
  object: BpfObject,
  work: (program: BpfProgram, maps: FilterMaps) => Promise<T>,
): Promise<T> {
  const program = object.program(XDP_PROGRAM);
  try {
    return await work(program, FilterMaps.of(object));
  } finally {
    program.close();
  }
}
