/**
 * Attributes (struct nlattr): u16 length with header, u16 type, payload, padding to 4.
 * Reading is a cursor, so that what nobody asks for costs two loads and an addition.
 */
import { Truncated, Writer, align4, latin1, readS32, readString, readU16, readU32 } from './bytes';

const HEADER = 4;
/** Without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const TYPE_MASK = 0x3fff;
const NLA_F_NESTED = 0x8000;

export class Attributes {
  type = 0;
  /** Offset of the current payload. */
  at = 0;
  /** End of the current payload, without padding. */
  end = 0;
  private next: number;

  constructor(
    readonly bytes: Uint8Array,
    start: number,
    private readonly limit: number,
  ) {
    if (start > limit || limit > bytes.length) throw new Truncated('attributes');
    this.next = start;
  }

  /** Moves to the next attribute; false at the end. */
  step(): boolean {
    const { bytes, next, limit } = this;
    if (limit - next < HEADER) return false;
    const length = readU16(bytes, next);
    if (length < HEADER || length > limit - next) throw new Truncated('attribute');
    this.type = readU16(bytes, next + 2) & TYPE_MASK;
    this.at = next + HEADER;
    this.end = next + length;
    this.next = next + align4(length);
    return true;
  }

  private need(size: number): void {
    if (this.end - this.at < size) throw new Truncated(`attribute ${this.type}`);
  }

  u8(): number {
    this.need(1);
    return this.bytes[this.at]!;
  }

  u16(): number {
    this.need(2);
    return readU16(this.bytes, this.at);
  }

  u32(): number {
    this.need(4);
    return readU32(this.bytes, this.at);
  }

  s32(): number {
    this.need(4);
    return readS32(this.bytes, this.at);
  }

  string(): string {
    return readString(this.bytes, this.at, this.end);
  }

  nested(): Attributes {
    return new Attributes(this.bytes, this.at, this.end);
  }
}

/** Attributes onto a Writer. */
export class AttributeWriter extends Writer {
  attr(type: number, payload: Uint8Array): this {
    return this.u16(HEADER + payload.length)
      .u16(type)
      .raw(payload)
      .pad();
  }

  attrU8(type: number, value: number): this {
    return this.u16(HEADER + 1)
      .u16(type)
      .u8(value)
      .pad();
  }

  attrU32(type: number, value: number): this {
    return this.u16(HEADER + 4)
      .u16(type)
      .u32(value);
  }

  /** NUL-terminated, as the kernel prints it back. */
  attrString(type: number, text: string): this {
    return this.attr(type, latin1(`${text}\0`));
  }

  nest(type: number, write: () => void): this {
    const start = this.length;
    this.u16(0).u16(type | NLA_F_NESTED);
    write();
    this.patchU16(start, this.length - start);
    return this;
  }
}
