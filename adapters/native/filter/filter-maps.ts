/** Handles on the maps of one interface. */
import { join } from 'node:path';
import { native, type BpfMap, type BpfObject, type RingReader } from '../native';
import { CONFIG, decodeCounter, RULES_MAX, SHAPE_RULE, type Counter } from './abi';
import { MAPS, type MapName } from './pins';
import { ReflectPeers } from './reflect-peers';
import { ServiceCounts } from './service-counts';
import { REASONS, type Reason } from '../../../core/filter/questions';

export type Family = 4 | 6;

const ARRAY = 2;

export const key32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

export class FilterMaps {
  /** The kernel's own memory: `encodeConfig` says what is where. */
  readonly config: Buffer;
  readonly services: ServiceCounts;
  readonly reflect: ReflectPeers;
  private reader: RingReader | null = null;

  private constructor(private readonly maps: Record<MapName, BpfMap>) {
    const memory = maps.config.mmap();
    this.config = Buffer.from(memory.buffer, 0, CONFIG.size);
    this.services = new ServiceCounts(maps.services4, maps.services6);
    this.reflect = new ReflectPeers(maps.reflect);
  }

  static of(object: BpfObject): FilterMaps {
    return FilterMaps.collect((name) => object.map(name));
  }

  static byIds(ids: Record<MapName, number>): FilterMaps {
    return FilterMaps.collect((name) => native.BpfMap.openById(ids[name]));
  }

  private static collect(open: (name: MapName) => BpfMap): FilterMaps {
    const opened: Partial<Record<MapName, BpfMap>> = {};
    try {
      for (const name of MAPS) opened[name] = open(name);
      return new FilterMaps(opened as Record<MapName, BpfMap>);
    } catch (error) {
      for (const map of Object.values(opened)) map.close();
      throw error;
    }
  }

  idOf(name: MapName): number {
    return this.maps[name].info.id;
  }

  outer(family: Family): BpfMap {
    return this.outerNamed(family === 4 ? 'sets4' : 'sets6');
  }

  outerNamed(name: 'sets4' | 'sets6' | 'rules'): BpfMap {
    return this.maps[name];
  }

  /** Id of the inner map that stands at `key` of an outer one; 0: none. */
  innerId(outer: 'sets4' | 'sets6' | 'rules', key: number): number {
    const id = new Uint32Array(1);
    return this.maps[outer].lookup(key32(key), new Uint8Array(id.buffer)) ? Number(id[0]) : 0;
  }

  /** A table of its own, put in the place of the former. */
  async setRules(table: Buffer): Promise<number> {
    const inner = native.BpfMap.create({
      type: ARRAY,
      name: 'aether_rules',
      keySize: 4,
      valueSize: SHAPE_RULE.size,
      maxEntries: RULES_MAX,
      flags: 0,
    });
    try {
      const keys = new Uint8Array(Uint32Array.from({ length: RULES_MAX }, (_, i) => i).buffer);
      await inner.updateBatch(keys, table, RULES_MAX);
      await this.maps.rules.setInner(key32(0), inner);
      return inner.info.id;
    } finally {
      inner.close();
    }
  }

  /** The table that packets meet, for comparison; null: there is none. */
  readRules(): Buffer | null {
    const id = this.innerId('rules', 0);
    if (id === 0) return null;
    const inner = native.BpfMap.openById(id);
    const table = Buffer.alloc(RULES_MAX * SHAPE_RULE.size);
    for (let i = 0; i < RULES_MAX; i++) {
      const slot = table.subarray(i * SHAPE_RULE.size, (i + 1) * SHAPE_RULE.size);
      inner.lookup(key32(i), slot);
    }
    inner.close();
    return table;
  }

  counters(): Record<Reason, Counter> {
    const perCpu = Buffer.alloc(this.maps.counters.info.valueSize);
    const read = (reason: Reason, i: number): [Reason, Counter] => {
      this.maps.counters.lookup(key32(i), perCpu);
      return [reason, decodeCounter(perCpu)];
    };
    return Object.fromEntries(REASONS.map(read)) as Record<Reason, Counter>;
  }

  /** What waits in the ring: records as `RingReader.drain` hands them over. */
  drain(maxBytes: number): Buffer {
    this.reader ??= native.RingReader.open(this.maps.samples);
    return this.reader.drain(maxBytes);
  }

  /** Kernel memory of these maps, without the inner ones. */
  memoryBytes(): number {
    return MAPS.reduce((sum, name) => sum + this.maps[name].memlockBytes(), 0);
  }

  pin(name: MapName, directory: string): void {
    this.maps[name].pin(join(directory, name));
  }

  close(): void {
    this.reader?.close();
    for (const name of MAPS) this.maps[name].close();
  }
}
