/** Lists and addresses for the look-ups, the same in each run: drawn from a seed. */
import { normalise } from '../../core/filter/algebra';
import type { PrefixSet } from '../../core/filter/types';

/** xorshift32 (Marsaglia, 2003). */
export class Generator {
  constructor(private state: number) {}
  u32(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state >>> 0;
  }
  below(limit: number): number {
    return Math.floor((this.u32() / 2 ** 32) * limit);
  }
}

/** 90 % /32, 7 % /24, the rest of these: 14 lengths in all. */
const OTHER_LENGTHS = [16, 17, 18, 19, 20, 21, 22, 23, 25, 26, 27, 28] as const;
const lengthOf4 = (percent: number, draw: Generator): number => {
  if (percent < 90) return 32;
  return percent < 97 ? 24 : (OTHER_LENGTHS[draw.below(OTHER_LENGTHS.length)] ?? 24);
};
/** 40 % /128, 40 % /64, 10 % /56, 7 % /48, 3 % /32. */
const lengthOf6 = (percent: number): number => {
  if (percent < 40) return 128;
  if (percent < 80) return 64;
  if (percent < 90) return 56;
  return percent < 97 ? 48 : 32;
};

const maskOf = (length: number, k: number): number => {
  const bits = Math.min(32, Math.max(0, length - 32 * k));
  return bits === 0 ? 0 : -1 << (32 - bits);
};
/** The first word of an address in 2000::/3. */
const global = (word: number): number => (0x20000000 | (word & 0x1fffffff)) >>> 0;

/** `count` prefixes of each family before the covered ones go, uniform over the addresses. */
export function drawList(count: number, seed: number): PrefixSet {
  const draw = new Generator(seed);
  const v4 = { addresses: new Uint32Array(count), lengths: new Uint8Array(count) };
  const v6 = { words: new Uint32Array(count * 4), lengths: new Uint8Array(count) };
  for (let i = 0; i < count; i++) {
    v4.lengths[i] = lengthOf4(i % 100, draw);
    v4.addresses[i] = draw.u32() & maskOf(v4.lengths[i] ?? 0, 0);
    v6.lengths[i] = lengthOf6(i % 100);
    for (let k = 0; k < 4; k++) {
      const word = k === 0 ? global(draw.u32()) : draw.u32();
      v6.words[i * 4 + k] = word & maskOf(v6.lengths[i] ?? 0, k);
    }
  }
  return normalise({ v4, v6 }).set;
}

/** `hot`: a thousand of the listed; `miss`: not listed. */
export const KINDS = ['hit', 'hot', 'miss'] as const;
export type Kind = (typeof KINDS)[number];
const HOT = 1000;

/** Listed addresses, or such as `has` does not know, in random order. `stride`: words of an address. */
function drawAddresses(
  { words, lengths }: { words: Uint32Array; lengths: Uint8Array },
  stride: 1 | 4,
  kind: Kind,
  out: Uint32Array,
  has: (address: Uint32Array) => boolean,
): void {
  const draw = new Generator(kind.length * 7919 + lengths.length);
  const address = new Uint32Array(stride);
  const hot = Uint32Array.from({ length: HOT }, () => draw.below(lengths.length));
  for (let at = 0; at < out.length; at += stride) {
    const row = kind === 'hit' ? draw.below(lengths.length) : (hot[draw.below(HOT)] ?? 0);
    for (let k = 0; k < stride; k++) {
      const mask = kind === 'miss' ? 0 : maskOf(lengths[row] ?? 0, k);
      const random = stride === 4 && k === 0 ? global(draw.u32()) : draw.u32();
      address[k] = ((words[row * stride + k] ?? 0) & mask) | (random & ~mask);
    }
    if (kind === 'miss' && has(address)) at -= stride;
    else out.set(address, at);
  }
}

export const drawAddresses4 = (
  { v4 }: PrefixSet,
  kind: Kind,
  out: Uint32Array,
  has: (address: Uint32Array) => boolean,
): void => drawAddresses({ words: v4.addresses, lengths: v4.lengths }, 1, kind, out, has);

/** Words of an address: the most significant first. */
export const drawAddresses6 = (
  { v6 }: PrefixSet,
  kind: Kind,
  out: Uint32Array,
  has: (address: Uint32Array) => boolean,
): void => drawAddresses(v6, 4, kind, out, has);
