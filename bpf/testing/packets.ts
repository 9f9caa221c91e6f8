/**
 * Packets as nested layers: `ether(ipv4({}, udp({ destination: 53 })))`. Each layer knows the number
 * its outer one names it by. Lengths are right unless overridden; checksums are zero, since the filter
 * looks at none.
 */
import { prefixBytes } from '../../core/netlink/ip';

export interface Layer {
  /** EtherType or IP protocol. */
  readonly type: number;
  readonly bytes: Buffer;
}

const MACS = Buffer.from('020000000001020000000002', 'hex');
export const V4 = { source: '198.51.100.7', destination: '192.0.2.1' };
export const V6 = { source: '2001:db8:7::7', destination: '2001:db8:1::1' };

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

const address = (text: string): Uint8Array =>
  prefixBytes(`${text}/${text.includes(':') ? 128 : 32}`)!.bytes;

/** A frame; 60 bytes at least, as the wire has them, unless `pad` is false. */
export function ether(inner: Layer, pad = true): Buffer {
  const frame = Buffer.concat([MACS, u16(inner.type), inner.bytes]);
  return pad ? Buffer.concat([frame, Buffer.alloc(Math.max(0, 60 - frame.length))]) : frame;
}

export const vlan = (inner: Layer, type = 0x8100): Layer => ({
  type,
  bytes: Buffer.concat([u16(100), u16(inner.type), inner.bytes]),
});

/** `depth` tags; the outermost of several is a service tag (802.1ad). */
export function tagged(inner: Layer, depth: number): Layer {
  let layer = inner;
  for (let i = depth; i > 0; i--) layer = vlan(layer, i === 1 && depth > 1 ? 0x88a8 : 0x8100);
  return layer;
}

export const raw = (type: number, bytes: Uint8Array | string): Layer => ({
  type,
  bytes: typeof bytes === 'string' ? Buffer.from(bytes, 'hex') : Buffer.from(bytes),
});

export interface Ipv4Fields {
  source?: string;
  destination?: string;
  /** A multiple of four. */
  options?: number;
  /** Offset in units of 8. */
  fragment?: { offset: number; more: boolean };
  version?: number;
  headerWords?: number;
  totalLength?: number;
  protocol?: number;
}

export function ipv4(fields: Ipv4Fields, inner: Layer): Layer {
  const size = 20 + (fields.options ?? 0);
  const header = Buffer.alloc(size);
  header[0] = ((fields.version ?? 4) << 4) | (fields.headerWords ?? size / 4);
  header.writeUInt16BE(fields.totalLength ?? size + inner.bytes.length, 2);
  const { offset, more } = fields.fragment ?? { offset: 0, more: false };
  header.writeUInt16BE((more ? 0x2000 : 0) | offset, 6);
  header[8] = 64;
  header[9] = fields.protocol ?? inner.type;
  header.set(address(fields.source ?? V4.source), 12);
  header.set(address(fields.destination ?? V4.destination), 16);
  return { type: 0x0800, bytes: Buffer.concat([header, inner.bytes]) };
}

export interface Ipv6Fields {
  source?: string;
  destination?: string;
  hopLimit?: number;
  version?: number;
  payloadLength?: number;
}

export function ipv6(fields: Ipv6Fields, inner: Layer): Layer {
  const header = Buffer.alloc(40);
  header[0] = (fields.version ?? 6) << 4;
  header.writeUInt16BE(fields.payloadLength ?? inner.bytes.length, 4);
  header[6] = inner.type;
  header[7] = fields.hopLimit ?? 64;
  header.set(address(fields.source ?? V6.source), 8);
  header.set(address(fields.destination ?? V6.destination), 24);
  return { type: 0x86dd, bytes: Buffer.concat([header, inner.bytes]) };
}

/** Extension headers whose length is told in units of 8 bytes beyond the first. */
const extension =
  (type: number) =>
  (inner: Layer, units = 0): Layer => {
    const header = Buffer.alloc(8 + 8 * units);
    header[0] = inner.type;
    header[1] = units;
    return { type, bytes: Buffer.concat([header, inner.bytes]) };
  };
export const hopByHop = extension(0);
export const routing = extension(43);
export const destinationOptions = extension(60);

/** Authentication header: its length counts words of four, less two (RFC 4302 §2.2). */
export function authentication(inner: Layer, size = 24): Layer {
  const header = Buffer.alloc(size);
  header[0] = inner.type;
  header[1] = size / 4 - 2;
  return { type: 51, bytes: Buffer.concat([header, inner.bytes]) };
}

export function fragment(offset: number, more: boolean, inner: Layer): Layer {
  const header = Buffer.alloc(8);
  header[0] = inner.type;
  header.writeUInt16BE((offset << 3) | (more ? 1 : 0), 2);
  return { type: 44, bytes: Buffer.concat([header, inner.bytes]) };
}

export interface Ports {
  source?: number;
  destination?: number;
}

export function udp(fields: Ports & { length?: number }, payload = 8): Layer {
  const bytes = Buffer.alloc(8 + payload);
  bytes.writeUInt16BE(fields.source ?? 40000, 0);
  bytes.writeUInt16BE(fields.destination ?? 53, 2);
  bytes.writeUInt16BE(fields.length ?? bytes.length, 4);
  return { type: 17, bytes };
}

export const TCP = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32 };

/** `options`: bytes, a multiple of four; `words`: the data offset. */
export function tcp(
  fields: Ports & { flags?: number; options?: number; words?: number },
  payload = 0,
): Layer {
  const header = 20 + (fields.options ?? 0);
  const bytes = Buffer.alloc(header + payload);
  bytes.writeUInt16BE(fields.source ?? 40000, 0);
  bytes.writeUInt16BE(fields.destination ?? 53, 2);
  bytes[12] = (fields.words ?? header / 4) << 4;
  bytes[13] = fields.flags ?? TCP.ACK;
  return { type: 6, bytes };
}

/** Types of ICMP (RFC 792) and ICMPv6 (RFC 4443, RFC 4861): 8 bytes and a body. */
const icmpOf =
  (type: number) =>
  (kind: number, body = 8): Layer => {
    const bytes = Buffer.alloc(8 + body);
    bytes[0] = kind;
    return { type, bytes };
  };
export const icmp = icmpOf(1);
export const icmpv6 = icmpOf(58);

/** The same layer without its last bytes: what a fragment or a liar leaves of it. */
export const cut = (layer: Layer, size: number): Layer => ({
  type: layer.type,
  bytes: layer.bytes.subarray(0, size),
});
