/**
 * Addresses and prefixes read off bytes, without a string in between: a feed has millions of them.
 * Takes exactly what core/model/prefix.ts takes.
 */

export const TAB = 0x09;
export const LF = 0x0a;
export const QUOTE = 0x22;
const HASH = 0x23;
export const COMMA = 0x2c;
const DASH = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const PIPE = 0x7c;

const MAX_OCTET = 255;
const GROUPS = 8;
/** A dotted tail stands for two groups. */
const TAIL_GROUPS = 2;
const HEX_DIGITS = 4;

/** Blank inside a line: space, tab, vertical tab, form feed, carriage return. */
export const isBlank = (byte: number): boolean =>
  byte === 0x20 || byte === TAB || (byte >= 0x0b && byte <= 0x0d);

/** Of a digit in base 16; −1: it is none. */
function hexValue(byte: number): number {
  if (byte >= ZERO && byte <= ZERO + 9) return byte - ZERO;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

export type Scanned = 'prefix' | 'range' | 'noPrefix' | 'badLength' | 'badRange';

/** Reads forward within [at, end); what it read lies in its fields until the next call. */
export class Scanner {
  at = 0;
  end = 0;
  /** Of the prefix, or of both ends of the range. */
  family: 4 | 6 = 4;
  /** Address of the prefix, or the range's first; host bits kept. IPv4 lies in word 0. */
  readonly first = new Uint32Array(4);
  /** The range's last. */
  readonly last = new Uint32Array(4);
  length = 0;
  private readonly groups = new Uint16Array(GROUPS);

  constructor(readonly bytes: Uint8Array) {}

  /** −1 at the end. */
  peek(): number {
    return this.at < this.end ? this.bytes[this.at]! : -1;
  }

  skipBlanks(): void {
    while (this.at < this.end && isBlank(this.bytes[this.at]!)) this.at++;
  }

  /** `#`, `;` and `//` begin a comment. */
  commentHere(): boolean {
    const byte = this.peek();
    if (byte === HASH || byte === SEMICOLON) return true;
    return byte === SLASH && this.at + 1 < this.end && this.bytes[this.at + 1] === SLASH;
  }

  /** `address`, `address/length` or `address - address`; stops behind it. */
  scan(): Scanned {
    const family = this.address(this.first);
    if (family === null) return 'noPrefix';
    this.family = family;
    if (this.peek() === SLASH && !this.commentHere()) {
      this.at++;
      return this.scanLength() ? 'prefix' : 'badLength';
    }
    this.length = family === 4 ? 32 : 128;
    this.skipBlanks();
    if (!this.skip(DASH)) return 'prefix';
    this.skipBlanks();
    return this.scanLast();
  }

  scanLength(): boolean {
    this.length = this.number(this.family === 4 ? 32 : 128);
    return this.length >= 0;
  }

  /** The end of a range, whose first address was scanned before. */
  scanLast(): 'range' | 'badRange' {
    const { family } = this;
    if (this.address(this.last) !== family) return 'badRange';
    const words = family === 4 ? 1 : 4;
    for (let k = 0; k < words; k++) {
      if (this.first[k]! < this.last[k]!) break;
      if (this.first[k]! > this.last[k]!) return 'badRange';
    }
    return 'range';
  }

  /** Decimal, without a leading zero; −1: none, or over `most`. */
  private number(most: number): number {
    let value = this.peek() - ZERO;
    if (value < 0 || value > 9) return -1;
    this.at++;
    while (value > 0 && value <= most) {
      const digit = this.peek() - ZERO;
      if (digit < 0 || digit > 9) return value;
      value = value * 10 + digit;
      this.at++;
    }
    return value <= most ? value : -1;
  }

  /** Into `words`; null, and anywhere, where none stands here. */
  private address(words: Uint32Array): 4 | 6 | null {
    const start = this.at;
    if (this.address4(words)) return 4;
    this.at = start;
    return this.address6(words) ? 6 : null;
  }

  private address4(words: Uint32Array): boolean {
    let address = 0;
    for (let i = 0; i < 4; i++) {
      if (i > 0 && !this.skip(DOT)) return false;
      const octet = this.number(MAX_OCTET);
      if (octet < 0) return false;
      address = (address << 8) | octet;
    }
    words[0] = address;
    return true;
  }

  /** RFC 4291 §2.2: groups, one gap, a dotted tail. */
  private address6(words: Uint32Array): boolean {
    const { groups } = this;
    let count = 0;
    let gap = -1;
    if (this.skip(COLON)) {
      if (!this.skip(COLON)) return false;
      gap = 0;
    }
    while (count < GROUPS) {
      const start = this.at;
      const group = this.group();
      if (group < 0) {
        if (gap !== count) return false;
        break;
      }
      if (this.peek() === DOT) {
        this.at = start;
        if (count > GROUPS - TAIL_GROUPS || !this.address4(words)) return false;
        groups[count++] = words[0]! >>> 16;
        groups[count++] = words[0]!;
        break;
      }
      groups[count++] = group;
      if (count === GROUPS || !this.skip(COLON)) break;
      if (!this.skip(COLON)) continue;
      if (gap >= 0) return false;
      gap = count;
    }
    if (gap < 0 ? count < GROUPS : count === GROUPS) return false;
    this.spread(words, count, gap < 0 ? count : gap);
    return true;
  }

  /** Up to four hexadecimal digits; −1: none. */
  private group(): number {
    let value = hexValue(this.peek());
    if (value < 0) return -1;
    this.at++;
    for (let i = 1; i < HEX_DIGITS; i++) {
      const digit = hexValue(this.peek());
      if (digit < 0) break;
      value = (value << 4) | digit;
      this.at++;
    }
    return value;
  }

  /** The groups as words, zeros in the gap. */
  private spread(words: Uint32Array, count: number, gap: number): void {
    words.fill(0);
    for (let i = 0; i < count; i++) {
      const place = i < gap ? i : i + GROUPS - count;
      words[place >> 1]! |= this.groups[i]! << (place % 2 === 0 ? 16 : 0);
    }
  }

  /** Moves behind this byte if it stands here. */
  skip(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.at++;
    return true;
  }
}
