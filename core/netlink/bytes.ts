/** Little-endian reads and Latin-1 strings on byte arrays whose bounds the caller has checked. */

/** The one error that decoding throws: bytes end before what they promise, or promise too little. */
export class Truncated extends Error {
  constructor(what: string) {
    super(`truncated: ${what}`);
    this.name = 'Truncated';
  }
}

/** netlink speaks host order; every host we run on is little-endian (x86-64, arm64). */
export const readU16 = (b: Uint8Array, at: number): number => b[at]! | (b[at + 1]! << 8);

export const readS32 = (b: Uint8Array, at: number): number =>
  b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);

export const readU32 = (b: Uint8Array, at: number): number => readS32(b, at) >>> 0;

/** Messages and attributes start at multiples of 4 (NLMSG_ALIGNTO, NLA_ALIGNTO). */
export const align4 = (n: number): number => (n + 3) & ~3;

/** Up to the first NUL, at most to `end`. Made at once: growing it by characters takes twice as long. */
export function readString(b: Uint8Array, at: number, end: number): string {
  const codes: number[] = [];
  for (let i = at; i < end && b[i] !== 0; i++) codes.push(b[i]!);
  return String.fromCharCode(...codes);
}

/** A buffer that grows; integers little-endian. */
export class Writer {
  private bytes = new Uint8Array(256);
  length = 0;

  private reserve(size: number): number {
    const at = this.length;
    this.length = at + size;
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.bytes.length * 2));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    return at;
  }

  u8(value: number): this {
    this.bytes[this.reserve(1)] = value;
    return this;
  }

  u16(value: number): this {
    return this.u8(value).u8(value >> 8);
  }

  u32(value: number): this {
    return this.u16(value).u16(value >> 16);
  }

  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.reserve(bytes.length));
    return this;
  }

  /** Zeros up to the next multiple of 4. */
  pad(): this {
    const at = this.length;
    this.bytes.fill(0, at, this.reserve(align4(at) - at) + (align4(at) - at));
    return this;
  }

  patchU16(at: number, value: number): void {
    this.bytes[at] = value;
    this.bytes[at + 1] = value >> 8;
  }

  patchU32(at: number, value: number): void {
    this.patchU16(at, value);
    this.patchU16(at + 2, value >> 16);
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}

/** Code points above 255 can't be written in Latin-1; validation keeps them out, here they wrap. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}
