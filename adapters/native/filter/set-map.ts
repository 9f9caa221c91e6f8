/**
 * One image in the kernel: an inner map of `sets4` or `sets6`, its memory, and what we have put there.
 * Packets read while we write, so every store is of a whole word.
 */
import type { Image, WordWrite } from '../../../core/filter/types';
import { native, type BpfMap } from '../native';
import { LINE_BYTES } from './abi';

const ARRAY = 2;
const MMAPABLE = 1 << 10;
const INNER_MAP = 1 << 12;

/** A BigInt for each word of a million prefixes would hold up the loop: equal pieces are passed over. */
const PIECE_WORDS = 4096;
const PAGE_BYTES = 4096;
const ZEROS = new Uint8Array(PAGE_BYTES);

/** Into memory that is zero: what of it is not written, most of a small set, takes no memory of ours. */
function copyNonZero(from: Uint8Array, to: Uint8Array): void {
  for (let at = 0; at < from.length; at += PAGE_BYTES) {
    const page = from.subarray(at, at + PAGE_BYTES);
    if (Buffer.compare(page, ZEROS.subarray(0, page.length)) !== 0) to.set(page, at);
  }
}

export class SetMap {
  readonly id: number;
  private readonly memory: Uint8Array;
  private readonly stores: BigUint64Array;

  private constructor(
    readonly map: BpfMap,
    /** What it shall hold; edits change it together with the stores that they hand to `write`. */
    readonly words: Uint32Array,
  ) {
    this.id = map.info.id;
    this.memory = map.mmap();
    this.stores = new BigUint64Array(this.memory.buffer, 0, this.memory.length / 8);
  }

  /** Throws what the kernel says: ENOMEM, E2BIG. Not yet seen by any packet. */
  static create({ words }: Image): SetMap {
    const map = native.BpfMap.create({
      type: ARRAY,
      name: 'aether_set',
      keySize: 4,
      valueSize: LINE_BYTES,
      maxEntries: (words.length * 4) / LINE_BYTES,
      flags: MMAPABLE | INNER_MAP,
    });
    try {
      const made = new SetMap(map, words);
      copyNonZero(made.shadow(), made.memory);
      return made;
    } catch (error) {
      map.close();
      throw error;
    }
  }

  /** One that is there already, with what is in it. */
  static adopt(id: number): SetMap {
    const map = native.BpfMap.openById(id);
    const memory = map.mmap();
    const words = new Uint32Array(memory.length / 4);
    copyNonZero(memory, new Uint8Array(words.buffer));
    return new SetMap(map, words);
  }

  /** In their order; each u64 at once. */
  write(writes: readonly WordWrite[]): void {
    for (const { word, low, high } of writes) {
      Atomics.store(this.stores, word, (BigInt(high) << 32n) | BigInt(low));
    }
  }

  /** Forgets edits whose stores were never written: it shall hold what packets meet. */
  undo(): void {
    this.shadow().set(this.memory);
  }

  /** Somebody else has written into it. */
  differs(): boolean {
    return Buffer.compare(this.memory, this.shadow()) !== 0;
  }

  /** Puts back what others have changed, word by word; how many there were. */
  restore(): number {
    const wanted = new BigUint64Array(this.words.buffer, this.words.byteOffset, this.stores.length);
    let restored = 0;
    for (let at = 0; at < wanted.length; at += PIECE_WORDS) {
      const end = Math.min(at + PIECE_WORDS, wanted.length);
      if (!this.pieceDiffers(at * 8, end * 8)) continue;
      for (const [i, value] of wanted.subarray(at, end).entries()) {
        if (this.stores[at + i] === value) continue;
        Atomics.store(this.stores, at + i, value);
        restored++;
      }
    }
    return restored;
  }

  /** Kernel memory, bytes. */
  memoryBytes(): number {
    return this.map.memlockBytes();
  }

  private pieceDiffers(start: number, end: number): boolean {
    return (
      Buffer.compare(this.memory.subarray(start, end), this.shadow().subarray(start, end)) !== 0
    );
  }

  /** How many words carry data, at most: behind them is room for edits. */
  used(): number {
    let last = this.words.length;
    while (last > 0 && this.words[last - 1] === 0) last--;
    return Math.ceil(last / 2);
  }

  shadow(): Uint8Array {
    return new Uint8Array(this.words.buffer, this.words.byteOffset, this.words.byteLength);
  }

  close(): void {
    this.map.close();
  }
}
