/** What memberlist's structs hold, read field by field: what is absent is Go's zero value, what is wrong is refused. */
import { type Family, formatAddress, parseAddress } from '../model/prefix';
import { Malformed, type Value } from './msgpack';
import type { Address, Versions } from './types';

export const NAME_BYTES_MAX = 255;
/** net.go `MetaMaxSize`. */
export const META_BYTES_MAX = 512;
const U32_MAX = 0xffff_ffff;

const NOTHING = new Uint8Array(0);

export class Fields {
  private readonly fields: Map<string, Value>;

  constructor(value: Value) {
    if (!(value instanceof Map)) throw new Malformed('no struct');
    this.fields = value;
  }

  number(name: string, most = U32_MAX): number {
    const value = this.fields.get(name) ?? 0;
    if (typeof value !== 'number' || value < 0 || value > most) {
      throw new Malformed(`${name} is no number up to ${most}`);
    }
    return value;
  }

  boolean(name: string): boolean {
    const value = this.fields.get(name) ?? false;
    if (typeof value !== 'boolean') throw new Malformed(`${name} is no boolean`);
    return value;
  }

  /** A copy: what comes from a packet shall not keep it. (`slice` of Node's Buffer would.) */
  bytes(name: string, most: number): Uint8Array {
    const value = this.fields.get(name) ?? NOTHING;
    if (Array.isArray(value)) return octetsOf(value, name, most);
    if (!(value instanceof Uint8Array) || value.length > most) {
      throw new Malformed(`${name} is no string of up to ${most} bytes`);
    }
    return Uint8Array.from(value);
  }

  text(name: string, most = NAME_BYTES_MAX): string {
    const bytes = this.bytes(name, most);
    const text = utf8Text(bytes);
    if (text === null) throw new Malformed(`${name} is no UTF-8`);
    return text;
  }

  /** A member's name. */
  name(name: string): string {
    const text = this.text(name);
    if (text === '') throw new Malformed(`${name} is empty`);
    return text;
  }

  address(ip: string, port: string): Address {
    const address = this.optionalAddress(ip, port);
    if (address === null) throw new Malformed(`${ip} is no address`);
    return address;
  }

  optionalAddress(ip: string, port: string): Address | null {
    const bytes = this.bytes(ip, 16);
    const at = this.number(port, 0xffff);
    if (bytes.length === 0 || at === 0) return null;
    if (bytes.length !== 4 && bytes.length !== 16) throw new Malformed(`${ip} is no address`);
    return { ip: addressText(bytes), port: at };
  }

  /** Absent: of a time before there were versions. */
  versions(name: string): Versions {
    const bytes = this.bytes(name, 16);
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = bytes;
    return [a, b, c, d, e, f];
  }
}

/** `[]uint8` comes as an array where go-msgpack was told so. */
function octetsOf(values: readonly Value[], name: string, most: number): Uint8Array {
  if (values.length > most) throw new Malformed(`${name} is too long`);
  return Uint8Array.from(values, (value) => {
    if (typeof value === 'number' && value >= 0 && value <= 0xff) return value;
    throw new Malformed(`${name} holds what is no byte`);
  });
}

/** Null where it is none. */
export function utf8Text(bytes: Uint8Array): string | null {
  const percents = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  try {
    return decodeURIComponent(percents);
  } catch {
    return null;
  }
}

const V4_MAPPED = 0xffffn;

/** Of 4 or 16 bytes; Go writes IPv4 in either. */
function addressText(bytes: Uint8Array): string {
  const bits = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  if (bytes.length === 16 && bits >> 32n === V4_MAPPED) {
    return formatAddress({ family: 4, bits: bits & 0xffff_ffffn });
  }
  const family: Family = bytes.length === 4 ? 4 : 6;
  return formatAddress({ family, bits });
}

/** 4 or 16 bytes; `ip` is canonical. */
export function addressOctets(ip: string): Uint8Array {
  const address = parseAddress(ip);
  if (address === null) throw new Error(`${ip} is no address`);
  const bytes = new Uint8Array(address.family === 4 ? 4 : 16);
  for (let i = bytes.length - 1, rest = address.bits; i >= 0; i -= 1, rest >>= 8n) {
    bytes[i] = Number(rest & 0xffn);
  }
  return bytes;
}
