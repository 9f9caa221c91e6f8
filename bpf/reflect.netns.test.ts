/** The reflector of Seamless BFD (RFC 7880, RFC 7881): what is answered, with what, and what never is. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { ReflectPeers } from '../adapters/native/filter/reflect-peers';
import { reflectorDiscriminator } from '../core/bfd/discriminator';
import { type ControlPacket, decode, encode } from '../core/bfd/packet';
import type { ReflectPeer } from '../core/filter/contents';
import { addressBytes } from '../core/netlink/ip';
import {
  ether,
  fragment,
  hopByHop,
  ipv4,
  ipv6,
  type Layer,
  raw,
  tagged,
  tcp,
  udp,
  V4,
  V6,
} from './testing/packets';
import { RootProgram } from './testing/program';
import { setSources } from './testing/sets';

const PORT = 7784;
const FROM = 50_000;
const ASKS = 0xc0de;

const FAMILIES = { 4: V4, 6: V6 } as const;
type Family = keyof typeof FAMILIES;

let root: RootProgram;
let peers: ReflectPeers;
before(async () => {
  root = await RootProgram.load();
  peers = new ReflectPeers(root.map('reflect'));
});
after(() => root.close());

const peerOf = (family: Family, more: Partial<ReflectPeer> = {}): ReflectPeer => {
  const { source: peer, destination: local } = FAMILIES[family];
  const discriminator = reflectorDiscriminator(local);
  return { peer, local, discriminator, singleHop: true, outOfService: false, ...more };
};

/** Anew, with full buckets. */
function answerTo(...wanted: ReflectPeer[]): void {
  peers.keepOnly([]);
  peers.add(wanted);
  root.configure({ stages: ['reflect'] });
}
beforeEach(() => answerTo(peerOf(4), peerOf(6)));

const question = (family: Family, more: Partial<ControlPacket> = {}): ControlPacket => ({
  diagnostic: 0,
  state: 'down',
  poll: false,
  final: false,
  independent: true,
  demand: true,
  multiplier: 3,
  myDiscriminator: ASKS,
  yourDiscriminator: reflectorDiscriminator(FAMILIES[family].destination),
  desiredMinTxUs: 20_000,
  requiredMinRxUs: 0,
  requiredMinEchoRxUs: 77,
  ...more,
});

interface Asked {
  bfd?: Uint8Array;
  from?: number;
  to?: number;
  ttl?: number;
  source?: string;
  destination?: string;
  udpLength?: number;
}

/** One's complement sum of 16-bit words (RFC 1071). */
function sumOf(...parts: Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += (part[i]! << 8) | (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

function datagram(family: Family, asked: Asked): Layer {
  const layer = udp({ source: asked.from ?? FROM, destination: asked.to ?? PORT }, 0);
  const bfd = asked.bfd ?? encode(question(family));
  const bytes = Buffer.concat([layer.bytes, bfd]);
  bytes.writeUInt16BE(asked.udpLength ?? bytes.length, 4);
  return { type: layer.type, bytes };
}

function ip(family: Family, asked: Asked, inner: Layer): Layer {
  const { source = FAMILIES[family].source, destination = FAMILIES[family].destination } = asked;
  const { ttl = 255 } = asked;
  if (family === 6) return ipv6({ source, destination, hopLimit: ttl }, inner);
  const layer = ipv4({ source, destination }, inner);
  layer.bytes[8] = ttl;
  layer.bytes.writeUInt16BE(0xffff - sumOf(layer.bytes.subarray(0, 20)), 10);
  return layer;
}

const frame = (family: Family, asked: Asked = {}): Buffer =>
  ether(ip(family, asked, datagram(family, asked)), false);

/** It is neither answered nor dropped: it goes on as any other packet does, byte for byte. */
function goesOn(packet: Buffer, why: string): void {
  const sent = root.send(packet);
  assert.deepEqual([sent.verdict, sent.counted], ['pass', { pass: 1 }], why);
  assert.deepEqual(sent.packet, packet, why);
}

const packetsOf = (family: Family): number | undefined =>
  peers.counts([peerOf(family)])[0]?.packets;

for (const family of [4, 6] as const) {
  const header = 14 + (family === 4 ? 20 : 40);
  const { source, destination } = FAMILIES[family];

  describe(`a question over IPv${family}`, () => {
    it('is answered where it came from, with checksums that hold', () => {
      const asked = frame(family);
      const { verdict, counted, bytes, packet } = root.send(asked);
      assert.equal(verdict, 'reflect');
      assert.deepEqual([counted, bytes], [{ reflect: 1 }, { reflect: asked.length }]);
      assert.equal(packet.length, asked.length, 'no more than was asked');
      assert.deepEqual(packet.subarray(0, 6), asked.subarray(6, 12));
      assert.deepEqual(packet.subarray(6, 12), asked.subarray(0, 6));
      const at = family === 4 ? 14 + 12 : 14 + 8;
      const size = family === 4 ? 4 : 16;
      const [from, to] = [addressBytes(source)!.bytes, addressBytes(destination)!.bytes];
      assert.deepEqual(new Uint8Array(packet.subarray(at, at + size)), new Uint8Array(to));
      assert.deepEqual(
        new Uint8Array(packet.subarray(at + size, at + 2 * size)),
        new Uint8Array(from),
      );
      if (family === 4) assert.equal(sumOf(packet.subarray(14, 34)), 0xffff, 'of the header');
      const transport = packet.subarray(header);
      assert.deepEqual([transport.readUInt16BE(0), transport.readUInt16BE(2)], [PORT, FROM]);
      const pseudo = Buffer.from([0, 17, 0, transport.length]);
      assert.equal(sumOf(from, to, pseudo, transport), 0xffff, 'of UDP');
      assert.equal(packetsOf(family), 1);
    });

    it('is told that it is up, by the discriminator it asked for, with its own timers', () => {
      const asked = question(family);
      const answer = decode(root.send(frame(family)).packet.subarray(header + 8));
      assert.ok(answer.ok);
      assert.deepEqual(answer.packet, {
        ...asked,
        state: 'up',
        demand: false,
        myDiscriminator: asked.yourDiscriminator,
        yourDiscriminator: ASKS,
        requiredMinRxUs: 10_000,
        requiredMinEchoRxUs: 0,
      });
    });

    it('that is a poll gets a final', () => {
      const bfd = encode(question(family, { poll: true, state: 'up' }));
      const answer = decode(root.send(frame(family, { bfd })).packet.subarray(header + 8));
      assert.ok(answer.ok);
      assert.deepEqual([answer.packet.poll, answer.packet.final], [false, true]);
    });

    it('is told AdminDown where we are out of service', () => {
      answerTo(peerOf(family, { outOfService: true }));
      const answer = decode(root.send(frame(family)).packet.subarray(header + 8));
      assert.ok(answer.ok);
      assert.deepEqual([answer.packet.state, answer.packet.diagnostic], ['adminDown', 7]);
    });

    it('over several hops is answered with a TTL of 255, where that is allowed', () => {
      goesOn(frame(family, { ttl: 254 }), 'a single hop only');
      answerTo(peerOf(family, { singleHop: false }));
      const { verdict, packet } = root.send(frame(family, { ttl: 3 }));
      assert.equal(verdict, 'reflect');
      assert.equal(packet[family === 4 ? 14 + 8 : 14 + 7], 255);
      if (family === 4) assert.equal(sumOf(packet.subarray(14, 34)), 0xffff);
    });

    it('keeps its VLAN tags', () => {
      const asked = ether(tagged(ip(family, {}, datagram(family, {})), 2), false);
      const { verdict, packet } = root.send(asked);
      assert.equal(verdict, 'reflect');
      assert.deepEqual(packet.subarray(12, 22), asked.subarray(12, 22));
    });

    it('is answered whatever the filter says, and whatever its checksum is', async () => {
      await setSources(root, 'block', ['198.51.100.0/24', '2001:db8:7::/48']);
      root.configure({ stages: ['reflect', 'block'] });
      const asked = frame(family);
      asked.writeUInt16BE(0x1234, header + 6);
      assert.equal(root.send(asked).verdict, 'reflect');
      await setSources(root, 'block', []);
    });

    it('goes on where it is not all that it should be', () => {
      const bfd = (more: Partial<ControlPacket>) => encode(question(family, more));
      const changed = (at: number, value: number): Uint8Array => {
        const bytes = bfd({});
        bytes[at] = value;
        return bytes;
      };
      const other = family === 4 ? '198.51.100.8' : '2001:db8:7::8';
      const elsewhere = family === 4 ? '192.0.2.2' : '2001:db8:1::2';
      const wrong: [string, Asked][] = [
        ['of a stranger', { source: other }],
        ['to another address', { destination: elsewhere }],
        ['for another discriminator', { bfd: bfd({ yourDiscriminator: 5 }) }],
        ['an answer', { bfd: bfd({ demand: false, state: 'up' }) }],
        ['from a reflector', { from: PORT }],
        ['to another port', { to: 3784 }],
        ['without a discriminator', { bfd: bfd({ myDiscriminator: 0 }) }],
        ['without a multiplier', { bfd: bfd({ multiplier: 0 }) }],
        ['of version 2', { bfd: changed(0, 0x40) }],
        ['authenticated', { bfd: changed(1, 0x46) }],
        ['multipoint', { bfd: changed(1, 0x43) }],
        ['too long by its own word', { bfd: changed(3, 28) }],
        ['with more behind it', { bfd: Buffer.concat([bfd({}), Buffer.alloc(400)]) }],
        ['cut', { bfd: bfd({}).subarray(0, 20) }],
        ['shorter by UDP than it is', { udpLength: 20 }],
      ];
      for (const [why, asked] of wrong) goesOn(frame(family, asked), why);
      const many = frame(family);
      many[0] = 0xff;
      goesOn(many, 'to everybody on the link');
      goesOn(ether(ip(family, {}, tcp({ destination: PORT }, 24))), 'TCP');
      assert.equal(packetsOf(family), 0);
    });

    it('goes on where the stage is off', () => {
      root.configure({ stages: [] });
      goesOn(frame(family), 'off');
    });

    it('is dropped where it comes faster than any peer asks, and answered again later', async () => {
      const asked = frame(family);
      const sent = Array.from({ length: 200 }, () => root.send(asked));
      const answered = sent.filter(({ verdict }) => verdict === 'reflect').length;
      const dropped = sent.filter(({ counted }) => counted.dropRate === 1).length;
      assert.equal(answered + dropped, 200);
      // 20 at once, and one each 5 ms while this test takes its time.
      assert.ok(answered >= 20 && dropped > 0, `${answered} of 200 were answered`);
      assert.equal(packetsOf(family), answered);
      const endMs = Date.now() + 5_000;
      while (root.send(asked).verdict !== 'reflect') assert.ok(Date.now() < endMs, 'never again');
    });
  });
}

describe('what looks like a question', () => {
  it('goes on with IP options, in fragments, or behind extension headers', () => {
    const options = ipv4({ options: 4 }, datagram(4, {}));
    options.bytes[8] = 255;
    goesOn(ether(options), 'options');
    const first = ipv4({ fragment: { offset: 0, more: true } }, datagram(4, {}));
    first.bytes[8] = 255;
    goesOn(ether(first), 'a first fragment');
    goesOn(ether(ipv6({ hopLimit: 255 }, fragment(0, true, datagram(6, {})))), 'the same of IPv6');
    goesOn(ether(ipv6({ hopLimit: 255 }, hopByHop(datagram(6, {})))), 'hop-by-hop options');
  });

  it('is never read beyond its end', () => {
    for (const family of [4, 6] as const) {
      const whole = ip(family, {}, datagram(family, {}));
      for (let size = 0; size < whole.bytes.length; size++) {
        const { verdict } = root.send(ether(raw(whole.type, whole.bytes.subarray(0, size)), false));
        assert.notEqual(verdict, 'reflect', `${size} bytes`);
      }
    }
  });
});

describe('the map of peers', () => {
  it('keeps the count of a peer that stays, and forgets one that goes', () => {
    root.send(frame(4));
    peers.add([peerOf(4), peerOf(6)]);
    assert.equal(packetsOf(4), 1);
    assert.ok(peers.areOnly([peerOf(4), peerOf(6)]));
    assert.ok(!peers.areOnly([peerOf(4)]));
    assert.ok(!peers.areOnly([peerOf(4), peerOf(6, { outOfService: true })]));
    peers.keepOnly([peerOf(6)]);
    assert.equal(packetsOf(4), undefined);
    goesOn(frame(4), 'no peer any more');
  });
});
