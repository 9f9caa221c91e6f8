/**
 * Our side, a process a run: `job.js FILE` does each job once and prints one line of JSON, as the peer
 * does (peer/main.go).
 */
import { readFileSync } from 'node:fs';
import { normalise, sizeOf } from '../../core/filter/algebra';
import { chunk, pack, unpack } from '../../core/filter/blob';
import { parseFeed } from '../../core/filter/feed';
import { buildImage4 } from '../../core/filter/image4';
import type { PrefixSet } from '../../core/filter/types';

export interface Answer {
  /** CPU time of each job, ms. */
  parseMs: number;
  normaliseMs: number;
  packMs: number;
  /** Only ours: the image that packets are looked up in. */
  buildMs?: number;
  count: number;
  /** Of the packed set. */
  sha256: string;
  peakMb: number;
}

function timed<T>(job: () => T): { result: T; cpuMs: number } {
  const before = process.cpuUsage();
  const result = job();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuMs: (user + system) / 1000 };
}

/** The same prefixes in the order of a walk by a step that is prime to any number of them. */
function shuffled({ v4, v6 }: PrefixSet): PrefixSet {
  const step = 982_451_653;
  const walk = (count: number): number[] => {
    const order: number[] = [];
    for (let i = 0, at = 0; i < count; i++, at = (at + step) % count) order.push(at);
    return order;
  };
  const order4 = walk(v4.lengths.length);
  const order6 = walk(v6.lengths.length);
  return {
    v4: {
      addresses: Uint32Array.from(order4, (i) => v4.addresses[i] ?? 0),
      lengths: Uint8Array.from(order4, (i) => v4.lengths[i] ?? 0),
    },
    v6: {
      words: Uint32Array.from(order6.flatMap((i) => [...v6.words.subarray(4 * i, 4 * i + 4)])),
      lengths: Uint8Array.from(order6, (i) => v6.lengths[i] ?? 0),
    },
  };
}

function main(file: string): void {
  const text = readFileSync(file);
  const limits = { format: 'auto', column: 1, maxBytes: 2 ** 31, maxPrefixes: 20_000_000 } as const;
  const parsed = timed(() => parseFeed(text, limits));
  if (!parsed.result.ok) throw new Error(JSON.stringify(parsed.result.refusal));
  const { set } = parsed.result;
  const peakMb = process.resourceUsage().maxRSS / 1024;
  const packed = timed(() => {
    const blob = pack(set);
    return { blob, ref: chunk(blob).ref };
  });
  const again = unpack(packed.result.blob);
  if (!again.ok || sizeOf(again.set) !== sizeOf(set)) throw new Error('not unpacked as packed');
  const rows = shuffled(set);
  const normalised = timed(() => normalise(rows));
  if (sizeOf(normalised.result.set) !== sizeOf(set)) throw new Error('not normalised');
  const built = timed(() => buildImage4([set.v4]));
  const answer: Answer = {
    parseMs: parsed.cpuMs,
    normaliseMs: normalised.cpuMs,
    packMs: packed.cpuMs,
    buildMs: built.cpuMs,
    count: sizeOf(set),
    sha256: packed.result.ref.sha256,
    peakMb,
  };
  console.log(JSON.stringify(answer));
}

main(process.argv[2] ?? '');
