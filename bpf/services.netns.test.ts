/** Packets are counted by the service address they pass to, and by no other. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { addressBytes } from '../core/netlink/ip';
import {
  ether,
  fragment,
  hopByHop,
  ipv4,
  ipv6,
  type Layer,
  tagged,
  tcp,
  udp,
} from './testing/packets';
import { RootProgram } from './testing/program';
import { setSources } from './testing/sets';

const SERVICE = { 4: '203.0.113.10', 6: '2001:db8:a::10' } as const;
const OTHER = { 4: '203.0.113.11', 6: '2001:db8:a::11' } as const;
type Family = keyof typeof SERVICE;

let root: RootProgram;
before(async () => {
  root = await RootProgram.load();
});
after(() => root.close());

const mapOf = (family: Family) => root.map(`services${family}`);
const keyOf = (family: Family): Uint8Array => addressBytes(SERVICE[family])!.bytes;

function counted(family: Family): { packets: number; bytes: number } | null {
  const perCpu = Buffer.alloc(mapOf(family).info.valueSize);
  if (!mapOf(family).lookup(keyOf(family), perCpu)) return null;
  let [packets, bytes] = [0, 0];
  for (let at = 0; at < perCpu.length; at += 16) {
    packets += Number(perCpu.readBigUInt64LE(at));
    bytes += Number(perCpu.readBigUInt64LE(at + 8));
  }
  return { packets, bytes };
}

const zero = (family: Family): void =>
  mapOf(family).update(keyOf(family), Buffer.alloc(mapOf(family).info.valueSize), 0);

beforeEach(() => {
  for (const family of [4, 6] as const) zero(family);
  root.configure({ stages: ['services'] });
});

const ip = (family: Family, destination: string, inner: Layer): Layer =>
  family === 4 ? ipv4({ destination }, inner) : ipv6({ destination }, inner);

for (const family of [4, 6] as const) {
  describe(`a service over IPv${family}`, () => {
    const to = (destination: string, tags = 0): Buffer =>
      ether(tagged(ip(family, destination, udp({}, 100)), tags));

    it('has what passes to it counted, packets and bytes', () => {
      const packet = to(SERVICE[family]);
      for (let i = 0; i < 3; i++) assert.equal(root.send(packet).verdict, 'pass');
      assert.deepEqual(counted(family), { packets: 3, bytes: 3 * packet.length });
    });

    it('is asked for nothing that goes elsewhere, and is not added by packets', () => {
      root.send(to(OTHER[family]));
      assert.deepEqual(counted(family), { packets: 0, bytes: 0 });
      mapOf(family).delete(keyOf(family));
      root.send(to(SERVICE[family]));
      assert.equal(counted(family), null);
    });

    it('has nothing counted that is dropped', async () => {
      await setSources(root, 'block', ['198.51.100.0/24', '2001:db8:7::/48']);
      root.configure({ stages: ['services', 'block'] });
      assert.equal(root.send(to(SERVICE[family])).verdict, 'drop');
      await setSources(root, 'block', []);
      assert.deepEqual(counted(family), { packets: 0, bytes: 0 });
    });

    it('costs nothing and has nothing counted where the config names no services', () => {
      root.configure({});
      root.send(to(SERVICE[family]));
      assert.deepEqual(counted(family), { packets: 0, bytes: 0 });
    });

    it('is found behind VLAN tags, and for TCP as well', () => {
      root.send(to(SERVICE[family], 2));
      root.send(ether(ip(family, SERVICE[family], tcp({}))));
      assert.equal(counted(family)?.packets, 2);
    });

    it('has fragments counted, each', () => {
      const piece = (offset: number): Layer =>
        family === 4
          ? ipv4(
              { destination: SERVICE[4], fragment: { offset, more: offset === 0 } },
              udp({ length: 200 }, 100),
            )
          : ipv6(
              { destination: SERVICE[6] },
              fragment(offset, offset === 0, udp({ length: 200 }, 96)),
            );
      assert.equal(root.send(ether(piece(0))).verdict, 'pass');
      assert.equal(root.send(ether(piece(16))).verdict, 'pass');
      assert.equal(counted(family)?.packets, 2);
    });
  });
}

it('extension headers stand between no service and its packets', () => {
  root.send(ether(ipv6({ destination: SERVICE[6] }, hopByHop(udp({})))));
  assert.equal(counted(6)?.packets, 1);
});
