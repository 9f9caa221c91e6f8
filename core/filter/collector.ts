/** Prefixes as they come, into a normalised set; it never holds many more than the set may have. */
import { normalise, sizeOf } from './algebra';
import { maskOf } from './rows';
import type { Scanner } from './scanner';
import type { PrefixSet } from './types';

/** Rows that grow. */
class Growing {
  words: Uint32Array;
  lengths = new Uint8Array(ROOM);
  count = 0;

  constructor(readonly stride: 1 | 4) {
    this.words = new Uint32Array(ROOM * stride);
  }

  /** Place for one row more; its number. */
  row(): number {
    if (this.count === this.lengths.length) this.grow();
    return this.count++;
  }

  private grow(): void {
    const words = new Uint32Array(this.words.length * 2);
    const lengths = new Uint8Array(this.lengths.length * 2);
    words.set(this.words);
    lengths.set(this.lengths);
    this.words = words;
    this.lengths = lengths;
  }

  taken(): { words: Uint32Array; lengths: Uint8Array } {
    return {
      words: this.words.subarray(0, this.count * this.stride),
      lengths: this.lengths.subarray(0, this.count),
    };
  }

  replace(words: Uint32Array, lengths: Uint8Array): void {
    this.words.set(words);
    this.lengths.set(lengths);
    this.count = lengths.length;
  }
}
const ROOM = 1024;

const MAPPED_LENGTH = 96;
const MAPPED_WORD = 0xffff;

const bitOf = (words: Uint32Array, bit: number): number =>
  (words[bit >> 5]! >>> (31 - (bit & 31))) & 1;

/** How many of the last bits of an address are like its last one, if that is `value`. */
function trailing(words: Uint32Array, width: number, value: 0 | 1): number {
  let count = 0;
  while (count < width && bitOf(words, width - 1 - count) === value) count++;
  return count;
}

export class Collector {
  /** Prefixes whose host bits were set. */
  masked = 0;
  /** IPv4 prefixes that were written as IPv6. */
  mapped = 0;
  duplicates = 0;
  covered = 0;
  private readonly v4 = new Growing(1);
  private readonly v6 = new Growing(4);
  private readonly compactAt: number;
  private readonly scratch = new Uint32Array(4);

  constructor(private readonly maxPrefixes: number) {
    this.compactAt = Math.max(2 * maxPrefixes, ROOM);
  }

  /** What the scanner found last. */
  prefix({ family, first, length }: Scanner): void {
    const cleared = family === 4 ? this.add4(first[0]!, length) : this.add6(first, length);
    if (cleared) this.masked++;
  }

  /** The fewest prefixes that make the scanner's range: on either side of where its ends part. */
  range({ family, first, last }: Scanner): void {
    const width = family === 4 ? 32 : 128;
    let common = 0;
    while (common < width && bitOf(first, common) === bitOf(last, common)) common++;
    const low = width - trailing(first, width, 0);
    const high = width - trailing(last, width, 1);
    if (low <= common && high <= common) return this.part(family, first, common, null);
    this.side(family, first, Math.max(low, common + 1), common, 0);
    this.side(family, last, Math.max(high, common + 1), common, 1);
  }

  /** From `end`, the last prefix of it `length` long, inwards; where its bit is `value`, the sibling is in. */
  private side(
    family: 4 | 6,
    end: Uint32Array,
    length: number,
    common: number,
    value: 0 | 1,
  ): void {
    this.part(family, end, length, null);
    for (let bit = length - 2; bit > common; bit--)
      if (bitOf(end, bit) === value) this.part(family, end, bit + 1, bit);
  }

  /** The prefix of `address` that is so long, one bit of it flipped. */
  private part(family: 4 | 6, address: Uint32Array, length: number, flipped: number | null): void {
    const { scratch } = this;
    scratch.set(address);
    if (flipped !== null) scratch[flipped >> 5]! ^= 1 << (31 - (flipped & 31));
    if (family === 4) this.add4(scratch[0]!, length);
    else this.add6(scratch, length);
  }

  /** Makes room where much has come; null, or how many prefixes there are that may not be. */
  excess(): number | null {
    if (this.v4.count + this.v6.count < this.compactAt) return null;
    const set = this.compact();
    this.v4.replace(set.v4.addresses, set.v4.lengths);
    this.v6.replace(set.v6.words, set.v6.lengths);
    return sizeOf(set) > this.maxPrefixes ? sizeOf(set) : null;
  }

  compact(): PrefixSet {
    const { words: addresses, lengths } = this.v4.taken();
    const found = normalise({ v4: { addresses, lengths }, v6: this.v6.taken() });
    this.duplicates += found.duplicates;
    this.covered += found.covered;
    return found.set;
  }

  /** Whether host bits had to be cleared. */
  private add4(address: number, length: number): boolean {
    const network = (address & maskOf(length, 0)) >>> 0;
    const row = this.v4.row();
    this.v4.words[row] = network;
    this.v4.lengths[row] = length;
    return network !== address;
  }

  private add6(words: Uint32Array, length: number): boolean {
    if (length >= MAPPED_LENGTH && words[2] === MAPPED_WORD && words[1] === 0 && words[0] === 0) {
      this.mapped++;
      return this.add4(words[3]!, length - MAPPED_LENGTH);
    }
    const row = this.v6.row();
    let cleared = 0;
    for (let k = 0; k < 4; k++) {
      const mask = maskOf(length, k);
      this.v6.words[row * 4 + k] = words[k]! & mask;
      cleared |= words[k]! & ~mask;
    }
    this.v6.lengths[row] = length;
    return cleared !== 0;
  }
}
