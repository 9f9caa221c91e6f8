/**
 * One life of an agent's filters, in a process and namespaces of its own: a list is loaded, replaced by
 * another, a prefix is blocked many times, all is looked at as the watch does. Prints one line of JSON.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { normalise, sizeOf } from '../../core/filter/algebra';
import type { PrefixSet } from '../../core/filter/types';
import { FilterEngine } from '../../adapters/native/filter/engine';
import { pinInfo } from '../../adapters/native/filter/pins';
import {
  contentsFor,
  frameFrom,
  MemoryBlobs,
  verdictOn,
} from '../../adapters/native/filter/testing/support';
import { NetNs } from '../../adapters/native/netns';
import { residentMb } from '../common/process';

export interface Life {
  prefixes: number;
  loadCpuMs: number;
  /** The longest time that the loop could not answer while the list was loaded. */
  stallMs: number;
  kernelMb: number;
  swapPeakMb: number;
  residentGrowthMb: number;
  /** One a prefix: until the maps hold it. */
  blockMs: number[];
  /** CPU time of one look, without and with the list. */
  emptyLookMs: number;
  fullLookMs: number;
}

const INTERFACE = 'load0';
const LOOKS = 50;
const BLOCKS = 50;
const REST_MS = 1500;

/** Numbers below 2^32 that look as if drawn by lot. */
function* drawn(seed: number): Generator<number, never> {
  for (let state = seed; ;) yield (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
}

/** Nine in ten are hosts, as in public lists; the others networks of 24 to 31 bits. */
function list4(count: number, seed: number): PrefixSet {
  const numbers = drawn(seed);
  const addresses = new Uint32Array(count);
  const lengths = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const length = i % 10 === 0 ? 24 + (i % 8) : 32;
    lengths[i] = length;
    addresses[i] = (numbers.next().value & (0xffffffff << ((32 - length) % 32))) >>> 0;
  }
  return normalise({ v4: { addresses, lengths }, v6: NONE.v6 }).set;
}

const NONE: PrefixSet = {
  v4: { addresses: new Uint32Array(0), lengths: new Uint8Array(0) },
  v6: { words: new Uint32Array(0), lengths: new Uint8Array(0) },
};

const PARTS = [128, 64, 48, 56, 128];

/** Hosts and the prefixes that are given to customers, below 2001::/16. */
function list6(count: number, seed: number): PrefixSet {
  const numbers = drawn(seed);
  const words = new Uint32Array(4 * count);
  const lengths = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const length = PARTS[i % PARTS.length] ?? 128;
    lengths[i] = length;
    for (let k = 0; k < 4; k++) {
      const kept = Math.min(32, Math.max(0, length - 32 * k));
      const mask = kept === 0 ? 0 : 0xffffffff << (32 - kept);
      words[4 * i + k] =
        ((k === 0 ? 0x20010000 : 0) | (numbers.next().value >>> (k === 0 ? 16 : 0))) & mask;
    }
  }
  return normalise({ v4: NONE.v4, v6: { words, lengths } }).set;
}

/** What the kernel has handed out page by page, maps above all: /proc/meminfo. */
function vmallocMb(): number {
  const kib = /^VmallocUsed:\s*(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  return (Number(kib) * 1024) / 1e6;
}

interface Watched<T> {
  result: T;
  cpuMs: number;
  stallMs: number;
  peakMb: number;
}

async function watched<T>(work: () => Promise<T>): Promise<Watched<T>> {
  const before = process.cpuUsage();
  let [last, stallMs, peakMb] = [performance.now(), 0, 0];
  const timer = setInterval(() => {
    const now = performance.now();
    stallMs = Math.max(stallMs, now - last);
    last = now;
    peakMb = Math.max(peakMb, vmallocMb());
  }, 1);
  const result = await work();
  clearInterval(timer);
  stallMs = Math.max(stallMs, performance.now() - last);
  const { user, system } = process.cpuUsage(before);
  return { result, cpuMs: (user + system) / 1000, stallMs, peakMb };
}

function lookMs(engine: FilterEngine): number {
  const before = process.cpuUsage();
  for (let i = 0; i < LOOKS; i++) {
    const { state } = engine.contents(INTERFACE, pinInfo(INTERFACE));
    if (state !== 'right') throw new Error(`the filter is ${state}`);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / LOOKS;
}

const collect = (): void => (globalThis as { gc?: () => void }).gc?.();
const FAILSAFE = ['192.0.2.1/32', '2001:db8::1/128'];

async function live(engine: FilterEngine, blobs: MemoryBlobs, lists: PrefixSet[]): Promise<Life> {
  const refs = lists.map((set, i) => blobs.list(`list ${i}`, set));
  const [first, second] = refs;
  if (!first || !second) throw new Error('two lists are needed');
  const set = async (...changes: [Parameters<typeof contentsFor>[1]]): Promise<number> => {
    const [outcome] = await engine.setFilters([
      contentsFor(INTERFACE, { failsafe: FAILSAFE, ...changes[0] }),
    ]);
    if (outcome?.error !== null) throw new Error(outcome?.error);
    return outcome.tookMs;
  };
  await set({});
  const emptyLookMs = lookMs(engine);
  collect();
  const [residentBefore, vmallocBefore] = [residentMb(process.pid), vmallocMb()];
  const loaded = await watched(() => set({ lists: [first] }));
  await delay(REST_MS);
  collect();
  const kernelMb = vmallocMb() - vmallocBefore;
  const residentGrowthMb = residentMb(process.pid) - residentBefore;
  const fullLookMs = lookMs(engine);
  const swapped = await watched(() => set({ lists: [second] }));
  const blockMs: number[] = [];
  for (let i = 0; i < BLOCKS; i++) {
    blockMs.push(await set({ lists: [second], blocks: [`203.0.113.${i}/32`] }));
    if (verdictOn(INTERFACE, frameFrom(`203.0.113.${i}`)) !== 'drop')
      throw new Error('not blocked');
  }
  return {
    prefixes: sizeOf(lists[0] ?? NONE),
    loadCpuMs: loaded.cpuMs,
    stallMs: loaded.stallMs,
    kernelMb,
    swapPeakMb: swapped.peakMb - vmallocBefore,
    residentGrowthMb,
    blockMs,
    emptyLookMs,
    fullLookMs,
  };
}

async function main(family: string, count: number): Promise<void> {
  const make = family === '4' ? list4 : list6;
  const lists = [make(count, 1), make(count, 2)];
  const blobs = new MemoryBlobs();
  const engine = await FilterEngine.open(blobs);
  const host = NetNs.host();
  const { links } = await host.rtnl();
  await links.addVeth({ name: INTERFACE, peer: { name: `${INTERFACE}p` } });
  const link = await links.get({ name: INTERFACE });
  if (!link) throw new Error('the link that was made is not there');
  try {
    await engine.attach(INTERFACE, link.index, 'native');
    console.log(JSON.stringify(await live(engine, blobs, lists)));
  } finally {
    await engine.detach(INTERFACE);
    engine.close();
    await links.delete({ index: link.index });
    host.close();
  }
}

main(process.argv[2] ?? '4', Number(process.argv[3])).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
