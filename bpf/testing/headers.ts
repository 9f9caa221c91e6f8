/** What the parser is to make of headers, as sentences. `reason` under the rules of `SEEN`. */
import type { Reason } from '../../core/filter/questions';
import {
  authentication as ah,
  cut,
  destinationOptions as options,
  ether,
  fragment,
  hopByHop,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  raw,
  routing,
  tagged,
  tcp,
  TCP,
  udp,
  type Ipv4Fields,
  type Ipv6Fields,
  type Layer,
} from './packets';
import type { Rule } from './program';

export interface Fixture {
  what: string;
  packet: Buffer;
  reason: Reason;
}

/** Rules that drop what was understood down to ports, flags and kind: the proof that it was. */
export const SEEN: Rule[] = [
  { protocol: 17, sourcePort: [40000, 40000], destinationPort: [53, 53] },
  { protocol: 6, destinationPort: [53, 53], tcpFlags: { mask: 0x12, value: 0x02 } },
  { family: 4, protocol: 1, length: [36, 96] },
  { family: 6, protocol: 58, length: [56, 128] },
];

type Wrap = [what: string, wrap: (inner: Layer) => Layer];

const transports4: [string, Layer][] = [
  ['UDP', udp({})],
  ['TCP', tcp({ flags: TCP.SYN })],
  ['TCP with options', tcp({ flags: TCP.SYN, options: 40 })],
  ['ICMP', icmp(8)],
];
const transports6: [string, Layer][] = [...transports4.slice(0, 3), ['ICMPv6', icmpv6(128)]];

const wraps4: Wrap[] = [
  ['IPv4', (inner) => ipv4({}, inner)],
  ['IPv4 with 4 bytes of options', (inner) => ipv4({ options: 4 }, inner)],
  ['IPv4 with 40 bytes of options', (inner) => ipv4({ options: 40 }, inner)],
  ['a first fragment of IPv4', (inner) => ipv4({ fragment: { offset: 0, more: true } }, inner)],
];
const six = (inner: Layer): Layer => ipv6({}, inner);
const wraps6: Wrap[] = [
  ['IPv6', six],
  ['IPv6 with hop-by-hop options', (inner) => six(hopByHop(inner))],
  ['IPv6 with a routing header of 24 bytes', (inner) => six(routing(inner, 2))],
  ['IPv6 with destination options', (inner) => six(options(inner, 1))],
  ['IPv6 with an authentication header', (inner) => six(ah(inner))],
  ['IPv6 with an authentication header of 16 bytes', (inner) => six(ah(inner, 16))],
  ['a first fragment of IPv6', (inner) => six(fragment(0, true, inner))],
  ['an atomic fragment of IPv6', (inner) => six(fragment(0, false, inner))],
  [
    'IPv6 with each kind of extension header',
    (inner) => six(hopByHop(options(routing(fragment(0, true, ah(options(inner))))))),
  ],
];

/** Each transport in each IP header behind 0 to 2 VLAN tags, and behind a third. */
export const understood: Fixture[] = [
  ...wraps4.flatMap((wrap) => transports4.map((transport) => [wrap, transport] as const)),
  ...wraps6.flatMap((wrap) => transports6.map((transport) => [wrap, transport] as const)),
].flatMap(([[ip, wrap], [name, transport]]) =>
  [0, 1, 2, 3].map((depth): Fixture => ({
    what: `${name} in ${ip}${depth === 0 ? '' : `, ${depth} VLAN tags`}`,
    packet: ether(tagged(wrap(transport), depth)),
    reason: depth <= 2 ? 'dropRule' : 'passNotIp',
  })),
);

const discovery = (kind: number, fields: Ipv6Fields = { hopLimit: 255 }): Buffer =>
  ether(ipv6(fields, icmpv6(kind, 16)));

/** What passes without a look at sources, and what merely looks like it. */
export const others: Fixture[] = [
  { what: 'ARP', packet: ether(raw(0x0806, '0001080006040001')), reason: 'passNotIp' },
  { what: 'LLDP', packet: ether(raw(0x88cc, '0207')), reason: 'passNotIp' },
  {
    what: 'a length instead of a type (STP)',
    packet: ether(raw(38, '424203')),
    reason: 'passNotIp',
  },
  { what: 'ARP in a VLAN', packet: ether(tagged(raw(0x0806, '0001'), 1)), reason: 'passNotIp' },
  {
    what: 'a VLAN tag that is cut',
    packet: ether(raw(0x8100, '0064'), false),
    reason: 'passNotIp',
  },
  {
    what: 'a second VLAN tag that is cut',
    packet: ether(raw(0x88a8, '0064810000'), false),
    reason: 'passNotIp',
  },
  ...[133, 134, 135, 136, 137].map((kind): Fixture => ({
    what: `neighbour discovery, type ${kind}`,
    packet: discovery(kind),
    reason: 'passNotIp',
  })),
  {
    what: 'neighbour discovery behind destination options, in a VLAN',
    packet: ether(tagged(ipv6({ hopLimit: 255 }, options(icmpv6(135, 16))), 1)),
    reason: 'passNotIp',
  },
  {
    what: 'neighbour discovery that a router passed on',
    packet: discovery(135, { hopLimit: 254 }),
    reason: 'dropRule',
  },
  {
    what: 'neighbour discovery in a fragment (RFC 6980)',
    packet: ether(ipv6({ hopLimit: 255 }, fragment(0, true, icmpv6(135, 16)))),
    reason: 'dropRule',
  },
  { what: 'ICMPv6 of type 132', packet: discovery(132), reason: 'dropRule' },
  { what: 'ICMPv6 of type 138', packet: discovery(138), reason: 'dropRule' },
  {
    what: 'SCTP, of whose ports nothing is known',
    packet: ether(ipv4({}, raw(132, '9c400035'))),
    reason: 'pass',
  },
  { what: 'GRE without a byte behind IPv4', packet: ether(ipv4({}, raw(47, ''))), reason: 'pass' },
  { what: 'no next header', packet: ether(six(raw(59, ''))), reason: 'pass' },
  { what: 'ESP', packet: ether(six(raw(50, '00'))), reason: 'pass' },
  {
    what: 'ICMP inside IPv6, which is a protocol like others',
    packet: ether(six(cut(icmp(8), 4))),
    reason: 'pass',
  },
  {
    what: 'an authentication header in IPv4',
    packet: ether(ipv4({}, ah(udp({})))),
    reason: 'pass',
  },
];

const later4 = (offset: number, inner: Layer, more = false): Buffer =>
  ether(ipv4({ fragment: { offset, more } }, inner));
const later6 = (offset: number, inner: Layer, more = false): Buffer =>
  ether(six(fragment(offset, more, inner)));

/** Later fragments: their first bytes are no header, whatever they look like. */
export const laterFragments: Fixture[] = [
  { what: 'a later fragment of UDP over IPv4', packet: later4(100, udp({})), reason: 'pass' },
  { what: 'one in the middle', packet: later4(2, tcp({ flags: TCP.SYN }), true), reason: 'pass' },
  { what: 'one of a single byte', packet: later4(8, raw(17, 'ff')), reason: 'pass' },
  { what: 'a later fragment of UDP over IPv6', packet: later6(100, udp({})), reason: 'pass' },
  {
    what: 'one of TCP over IPv6',
    packet: later6(2, tcp({ flags: TCP.SYN }), true),
    reason: 'pass',
  },
  { what: 'one of destination options', packet: later6(2, options(udp({}))), reason: 'pass' },
  {
    what: 'the last 8 bytes of the longest packet',
    packet: later4(8190, raw(17, '00'.repeat(8))),
    reason: 'pass',
  },
];

const four = (fields: Ipv4Fields, inner: Layer = udp({})): Buffer => ether(ipv4(fields, inner));
const bad = (what: string, packet: Buffer): Fixture => ({ what, packet, reason: 'dropMalformed' });

export const malformed: Fixture[] = [
  // M1
  bad('IPv4 of which the frame holds 19 bytes', ether(raw(0x0800, '45'.padEnd(38, '0')), false)),
  bad('IPv4 of which the frame holds none', ether(raw(0x0800, ''), false)),
  bad('IPv6 of which the frame holds 39 bytes', ether(raw(0x86dd, '60'.padEnd(78, '0')), false)),
  bad('version 6 under the EtherType of IPv4', four({ version: 6 })),
  bad('version 4 under the EtherType of IPv6', ether(ipv6({ version: 4 }, udp({})))),
  bad('an IHL of 4', four({ headerWords: 4 })),
  bad('an IHL of 0', four({ headerWords: 0 })),
  // M2
  bad('an IHL beyond the total length', four({ headerWords: 15 })),
  bad('a total length below the header', four({ totalLength: 19 })),
  bad('a total length of 0', four({ totalLength: 0 })),
  bad('a total length beyond the frame', four({ totalLength: 47 })),
  bad('a payload length beyond the frame', ether(ipv6({ payloadLength: 17 }, udp({})))),
  bad('a payload length of 0 before UDP', ether(ipv6({ payloadLength: 0 }, udp({})))),
  bad('a jumbogram', ether(ipv6({ payloadLength: 0 }, hopByHop(udp({}))))),
  // M3
  bad('hop-by-hop options that are cut', ether(six(cut(hopByHop(udp({})), 7)), false)),
  bad('a routing header longer than the packet', ether(six(cut(routing(udp({}), 4), 24)))),
  bad('an authentication header longer than the packet', ether(six(cut(ah(udp({}), 40), 24)))),
  bad('a fragment header that is cut', ether(six(cut(fragment(0, false, udp({})), 6)))),
  bad(
    'a seventh extension header',
    ether(six(hopByHop(options(routing(fragment(0, false, ah(options(options(udp({})))))))))),
  ),
  // M4
  ...[
    ['UDP', udp({}), 7],
    ['TCP', tcp({}), 19],
  ].flatMap(([name, layer, size]) => [
    bad(`${name as string} cut by IPv4's length`, four({}, cut(layer as Layer, size as number))),
    bad(`${name as string} cut by IPv6's length`, ether(six(cut(layer as Layer, size as number)))),
    bad(
      `${name as string} cut in a first fragment`,
      four({ fragment: { offset: 0, more: true } }, cut(layer as Layer, size as number)),
    ),
    bad(
      `${name as string} cut in a first fragment of IPv6`,
      ether(six(fragment(0, true, cut(layer as Layer, size as number)))),
    ),
  ]),
  bad('ICMP of 7 bytes', four({}, cut(icmp(8), 7))),
  bad('ICMPv6 of 7 bytes', ether(ipv6({ hopLimit: 255 }, cut(icmpv6(135), 7)))),
  bad('UDP cut by the end of the frame', ether(ipv4({}, cut(udp({}), 4)), false)),
  // M5
  bad('a data offset of 4', four({}, tcp({ words: 4 }))),
  bad('a data offset beyond the packet', four({}, tcp({ words: 6 }))),
  bad('a data offset beyond the packet, IPv6', ether(six(tcp({ words: 15 })))),
  bad('a UDP length of 7', four({}, udp({ length: 7 }))),
  bad('a UDP length of 0', ether(six(udp({ length: 0 })))),
  bad('a UDP length beyond the packet', four({}, udp({ length: 17 }))),
  // M6
  bad('a TCP fragment at offset 1', later4(1, tcp({}), true)),
  bad('a TCP fragment at offset 1, IPv6', later6(1, tcp({}))),
  bad('a fragment that ends beyond 65535', later4(8190, raw(17, '00'.repeat(16)))),
  bad('a fragment that ends beyond 65535, IPv6', later6(8191, raw(17, '00'.repeat(8)))),
];
