/**
 * Changes an IPv6 image in place. A key is written into a slot that no look-up reads, and becomes
 * visible by its presence bit, the last store; it goes by one store that says its slot is free. Presence bits, lengths
 * and marks of full buckets stay: they may promise too much, never too little.
 */
import { GRACE_MS } from './edit4';
import {
  bucketOf,
  FLAG,
  hashKey,
  HEADER,
  HOST_LENGTH,
  isIn,
  isZero,
  type Key,
  LENGTHS_U32,
  lengthAt,
  nextHash,
  presenceAt,
  PROBES,
  putInSlot,
  putKey,
  putLength,
  SLOTS,
  slotOf,
  WENT_ON,
} from './image6';
import type { Image, Prefixes6, WordWrite } from './types';

/** A free slot in reach of a key, and the buckets that are passed on the way. */
interface Place {
  bucket: number;
  slot: number;
  passed: number[];
}

export class Editor6 {
  /** Slots that were left (bucket × 4 + slot), and when. */
  private readonly freed = new Map<number, number>();
  private readonly key: Key = new Uint32Array(4);

  /** `image.words` is changed together with what is returned. */
  constructor(private readonly image: Image) {}

  /** Appends the stores that add prefix `i` of a list, in their order. False: the image must be built anew. */
  add(list: Prefixes6, i: number, nowMs: number, out: WordWrite[]): boolean {
    const { words } = this.image;
    const length = list.lengths[i]!;
    const host = length === HOST_LENGTH;
    putKey(this.key, list.words, i * 4, length);
    if (host && isZero(this.key)) {
      this.put(HEADER.flags, words[HEADER.flags]! | FLAG.zero, out);
      return true;
    }
    const hash = hashKey(this.key, words[HEADER.seed]!);
    if (slotOf(words, host, this.key, hash) >= 0) return true;
    const place = this.placeFor(host, hash, nowMs);
    if (!place) return false;
    this.fill(place, out);
    if (host) this.put(HEADER.flags, words[HEADER.flags]! | FLAG.hosts, out);
    else this.useLength(length, out);
    const presence = presenceAt(words, hash);
    this.put(presence, words[presence]! | (1 << (hash & 31)), out);
    return true;
  }

  /** Appends the stores that take prefix `i` of a list away. */
  remove(list: Prefixes6, i: number, nowMs: number, out: WordWrite[]): void {
    const { words } = this.image;
    const host = list.lengths[i] === HOST_LENGTH;
    putKey(this.key, list.words, i * 4, list.lengths[i]!);
    if (host && isZero(this.key)) {
      this.put(HEADER.flags, words[HEADER.flags]! & ~FLAG.zero, out);
      return;
    }
    const found = slotOf(words, host, this.key, hashKey(this.key, words[HEADER.seed]!));
    if (found < 0) return;
    const bucket = found >>> 2;
    this.put(bucket, words[bucket]! & ~(1 << (found & 3)), out);
    this.freed.set(found, nowMs);
  }

  /** Best where this very key lay before: a look-up that still reads there finds nothing else. */
  private placeFor(host: boolean, hash: number, nowMs: number): Place | null {
    const { words } = this.image;
    const passed: number[] = [];
    let found: Place | null = null;
    for (let i = 0, at = hash; i < PROBES; i++, at = nextHash(at)) {
      const bucket = bucketOf(words, host, at);
      for (let slot = 0; slot < SLOTS; slot++) {
        if ((words[bucket]! & (1 << slot)) !== 0) continue;
        const place = { bucket, slot, passed: [...passed] };
        if (isIn(words, bucket, slot, this.key)) return place;
        const sinceMs = this.freed.get(bucket * 4 + slot) ?? -Infinity;
        if (nowMs - sinceMs >= GRACE_MS) found ??= place;
      }
      if ((words[bucket]! & WENT_ON) === 0 && found) break;
      passed.push(bucket);
    }
    return found;
  }

  private fill({ bucket, slot, passed }: Place, out: WordWrite[]): void {
    const { words } = this.image;
    putInSlot(words, bucket, slot, this.key);
    this.freed.delete(bucket * 4 + slot);
    for (const word of [1 + 2 * slot, 2 + 2 * slot]) out.push(this.read(bucket + word * 2));
    this.put(bucket, words[bucket]! | (1 << slot), out);
    for (const full of passed) this.put(full, words[full]! | WENT_ON, out);
  }

  /** The length first, then the count that takes it in. */
  private useLength(length: number, out: WordWrite[]): void {
    const { words } = this.image;
    const count = words[HEADER.count]!;
    for (let i = 0; i < count; i++) if (lengthAt(words, i) === length) return;
    putLength(words, count, length);
    out.push(this.read(LENGTHS_U32 + (count >>> 2)));
    this.put(HEADER.count, count + 1, out);
  }

  /** Stores a half of a word, where it differs. */
  private put(at: number, value: number, out: WordWrite[]): void {
    const { words } = this.image;
    if (words[at] === value >>> 0) return;
    words[at] = value;
    out.push(this.read(at));
  }

  private read(at: number): WordWrite {
    const word = at >>> 1;
    return { word, low: this.image.words[word * 2]!, high: this.image.words[word * 2 + 1]! };
  }
}
