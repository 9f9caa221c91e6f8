/** Our XDP program: loaded onto maps that are there or new ones, and told what it is made for. */
import { readFileSync } from 'node:fs';
import { native, type BpfObject, type BpfProgram } from '../native';
import { CONFIG, FILTER_ABI } from './abi';
import { FilterMaps } from './filter-maps';
import { MAPS, programInfo, XDP_OBJECT, XDP_PROGRAM, type MapName } from './pins';

type Shape = string;

/** Ids of the maps that a program works on; `older`: it can't be given what we would give it. */
export type InUse =
  { kind: 'current'; ids: Record<MapName, number> } | { kind: 'older'; why: string };

export class XdpProgram {
  private constructor(
    private readonly elf: Uint8Array,
    /** Tag of the program that `load` loads. */
    readonly tag: string,
    private readonly shapes: ReadonlyMap<string, Shape>,
  ) {}

  static async open(): Promise<XdpProgram> {
    const elf = readFileSync(XDP_OBJECT);
    const object = await native.BpfObject.load(elf, null, null);
    const program = object.program(XDP_PROGRAM);
    const { tag } = program.info;
    const shapes = new Map<string, Shape>();
    for (const name of MAPS) {
      const map = object.map(name);
      shapes.set(name, shapeOf(map.info));
      map.close();
    }
    program.close();
    object.close();
    return new XdpProgram(elf, tag, shapes);
  }

  /** Maps that are pinned in `directory` are reused, others pinned there; null: none is pinned. */
  async load<T>(
    directory: string | null,
    work: (program: BpfProgram, maps: FilterMaps) => Promise<T>,
  ): Promise<T> {
    const object = await native.BpfObject.load(this.elf, directory, null);
    try {
      return await withHandles(object, work);
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
      const known = this.shapes.get(name);
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
    return this.shapes.get(name) === shapeOf(info);
  }
}

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
