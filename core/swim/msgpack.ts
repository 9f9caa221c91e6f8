/**
 * msgpack of the old specification, as memberlist speaks it (go-msgpack without WriteExt): strings and bytes are both
 * `raw`, a struct is a map by field names, nil is an empty one. What the newer one added is read, never written.
 */
import { utf8 } from '../model/hash';

export type Value = null | boolean | number | Uint8Array | Value[] | Map<string, Value>;

/** Nesting; memberlist has 2. */
const DEPTH_MAX = 4;
const KEY_BYTES_MAX = 64;

/** The bytes end before the value does: of a stream more may come. */
export class Short extends Error {}
/** No value, or one that we take from nobody. */
export class Malformed extends Error {}

export class Reader {
  private readonly view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    public at = 0,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A view of the next `count` bytes, not a copy. */
  take(count: number): Uint8Array {
    if (count > this.bytes.length - this.at) throw new Short();
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  uint(size: 1 | 2 | 4): number {
    if (size > this.bytes.length - this.at) throw new Short();
    this.at += size;
    if (size === 1) return this.view.getUint8(this.at - 1);
    if (size === 2) return this.view.getUint16(this.at - 2);
    return this.view.getUint32(this.at - 4);
  }

  value(depth = 0): Value {
    if (depth > DEPTH_MAX) throw new Malformed('too deep');
    const head = this.uint(1);
    if (head < 0x80) return head;
    if (head < 0x90) return this.map(head & 0x0f, depth);
    if (head < 0xa0) return this.array(head & 0x0f, depth);
    if (head < 0xc0) return this.take(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    return this.tagged(head, depth);
  }

  private tagged(head: number, depth: number): Value {
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return head === 0xc3;
      case 0xc4:
      case 0xd9:
        return this.take(this.uint(1));
      case 0xc5:
      case 0xda:
        return this.take(this.uint(2));
      case 0xc6:
      case 0xdb:
        return this.take(this.uint(4));
      case 0xdc:
        return this.array(this.uint(2), depth);
      case 0xdd:
        return this.array(this.uint(4), depth);
      case 0xde:
        return this.map(this.uint(2), depth);
      case 0xdf:
        return this.map(this.uint(4), depth);
      default:
        return this.number(head);
    }
  }

  private number(head: number): number {
    switch (head) {
      case 0xcc:
        return this.uint(1);
      case 0xcd:
        return this.uint(2);
      case 0xce:
        return this.uint(4);
      case 0xcf:
        return this.wide(false);
      case 0xd0:
        return (this.uint(1) << 24) >> 24;
      case 0xd1:
        return (this.uint(2) << 16) >> 16;
      case 0xd2:
        return this.uint(4) | 0;
      case 0xd3:
        return this.wide(true);
      default:
        throw new Malformed('no value');
    }
  }

  private wide(signed: boolean): number {
    const high = this.uint(4);
    const low = this.uint(4);
    const value = (signed ? high | 0 : high) * 2 ** 32 + low;
    if (!Number.isSafeInteger(value)) throw new Malformed('number too large');
    return value;
  }

  /** Each entry takes a byte at least, so that a count says nothing that the bytes don't. */
  private fits(count: number): number {
    if (count > this.bytes.length - this.at) throw new Short();
    return count;
  }

  private array(count: number, depth: number): Value[] {
    const items: Value[] = [];
    for (let left = this.fits(count); left > 0; left -= 1) items.push(this.value(depth + 1));
    return items;
  }

  private map(count: number, depth: number): Map<string, Value> {
    const fields = new Map<string, Value>();
    for (let left = this.fits(count); left > 0; left -= 1) {
      const key = this.value(depth + 1);
      if (!(key instanceof Uint8Array) || key.length > KEY_BYTES_MAX) {
        throw new Malformed('no field name');
      }
      fields.set(String.fromCharCode(...key), this.value(depth + 1));
    }
    return fields;
  }
}

/** Bytes in the making. */
export class Writer {
  private bytes = new Uint8Array(256);
  private length = 0;

  raw(bytes: Uint8Array): this {
    while (this.length + bytes.length > this.bytes.length) this.grow();
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  uint(size: 1 | 2 | 4, value: number): this {
    while (this.length + size > this.bytes.length) this.grow();
    for (let shift = (size - 1) * 8; shift >= 0; shift -= 8) {
      this.bytes[this.length] = (value >>> shift) & 0xff;
      this.length += 1;
    }
    return this;
  }

  /** u32 at most. */
  number(value: number): this {
    if (value < 0x80) return this.uint(1, value);
    if (value < 0x100) return this.uint(1, 0xcc).uint(1, value);
    if (value < 0x10000) return this.uint(1, 0xcd).uint(2, value);
    return this.uint(1, 0xce).uint(4, value);
  }

  field(name: string): this {
    return this.octets(utf8(name));
  }

  text(text: string): this {
    return this.octets(utf8(text));
  }

  octets(bytes: Uint8Array): this {
    const { length } = bytes;
    if (length < 0x20) this.uint(1, 0xa0 | length);
    else if (length < 0x10000) this.uint(1, 0xda).uint(2, length);
    else this.uint(1, 0xdb).uint(4, length);
    return this.raw(bytes);
  }

  nil(): this {
    return this.uint(1, 0xc0);
  }

  boolean(value: boolean): this {
    return this.uint(1, value ? 0xc3 : 0xc2);
  }

  map(fields: number): this {
    return this.uint(1, 0x80 | fields);
  }

  done(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  private grow(): void {
    const larger = new Uint8Array(this.bytes.length * 2);
    larger.set(this.bytes);
    this.bytes = larger;
  }
}
