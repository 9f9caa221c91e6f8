/** The map `reflect` of one interface: whose Seamless BFD the program answers, one entry a peer. */
import { REFLECT_MAX, type ReflectPeer } from '../../../core/filter/contents';
import type { ReflectCount } from '../../../core/filter/questions';
import { addressBytes } from '../../../core/netlink/ip';
import type { BpfMap } from '../native';
import { REFLECT, REFLECT_KEY, REFLECT_PEER } from './abi';

/** What a peer is told: the shortest interval that a Node may ask for. */
const REQUIRED_MIN_RX_US = 10_000;
const IPV6_BYTES = 16;
const MAPPED_AT = 10;

export class ReflectPeers {
  constructor(private readonly map: BpfMap) {}

  /** Those that are answered already go on, their counts too. */
  add(peers: readonly ReflectPeer[]): void {
    for (const peer of peers) {
      const there = this.read(peer);
      if (there !== null && saysOf(there) === saysOf(valueOf(peer))) continue;
      this.map.update(keyOf(peer), valueOf(peer), 0);
    }
  }

  keepOnly(peers: readonly ReflectPeer[]): void {
    const wanted = new Set(peers.map((peer) => keyOf(peer).toString('hex')));
    for (const key of this.keys()) if (!wanted.has(key.toString('hex'))) this.map.delete(key);
  }

  areOnly(peers: readonly ReflectPeer[]): boolean {
    if (this.keys().length !== peers.length) return false;
    return peers.every((peer) => {
      const there = this.read(peer);
      return there !== null && saysOf(there) === saysOf(valueOf(peer));
    });
  }

  counts(peers: readonly ReflectPeer[]): ReflectCount[] {
    return peers.flatMap((each) => {
      const packets = this.read(each)?.readBigUInt64LE(REFLECT_PEER.packets);
      return packets === undefined
        ? []
        : [{ peer: each.peer, local: each.local, packets: Number(packets) }];
    });
  }

  private read(peer: ReflectPeer): Buffer | null {
    const value = Buffer.alloc(REFLECT_PEER.size);
    return this.map.lookup(keyOf(peer), value) ? value : null;
  }

  private keys(): Buffer[] {
    const keys = Buffer.alloc(REFLECT_KEY.size * REFLECT_MAX);
    return Array.from({ length: this.map.keys(null, keys) }, (_, i) =>
      keys.subarray(i * REFLECT_KEY.size, (i + 1) * REFLECT_KEY.size),
    );
  }
}

/** What the agent puts there, without what the program counts. */
const saysOf = (value: Buffer): string => value.toString('hex', REFLECT_PEER.flags);

function valueOf({ singleHop, outOfService }: ReflectPeer): Buffer {
  const value = Buffer.alloc(REFLECT_PEER.size);
  const flags = (singleHop ? REFLECT.singleHop : 0) | (outOfService ? REFLECT.outOfService : 0);
  value.writeUInt32LE(flags, REFLECT_PEER.flags);
  value.writeUInt32LE(REQUIRED_MIN_RX_US, REFLECT_PEER.required_min_rx_us);
  return value;
}

function keyOf({ peer, local, discriminator }: ReflectPeer): Buffer {
  const key = Buffer.alloc(REFLECT_KEY.size);
  putAddress(key, REFLECT_KEY.source, peer);
  putAddress(key, REFLECT_KEY.destination, local);
  key.writeUInt32LE(discriminator, REFLECT_KEY.discriminator);
  return key;
}

/** IPv4 as ::ffff:a.b.c.d. */
function putAddress(into: Buffer, at: number, address: string): void {
  const bytes = addressBytes(address)?.bytes;
  if (!bytes) throw new TypeError(`not an address: ${address}`);
  if (bytes.length === IPV6_BYTES) {
    into.set(bytes, at);
    return;
  }
  into.writeUInt16BE(0xffff, at + MAPPED_AT);
  into.set(bytes, at + MAPPED_AT + 2);
}
