/** Captured frames: whom one came from, and as much of it again as was captured of it. */
import { AF } from '../../../core/netlink/consts';
import { formatAddress } from '../../../core/netlink/ip';

const ETHERNET_BYTES = 14;
const VLAN_BYTES = 4;
const MAX_VLAN_DEPTH = 2;
const VLANS: readonly number[] = [0x8100, 0x88a8];
/** `lengthAt`: where it says how long it is, without its first `notCounted` bytes. */
const IPV4 = { type: 0x0800, source: 12, size: 20, lengthAt: 2, notCounted: 0 } as const;
const IPV6 = { type: 0x86dd, source: 8, size: 40, lengthAt: 4, notCounted: 40 } as const;

interface Found {
  header: typeof IPV4 | typeof IPV6;
  at: number;
}

/** Where its IP header begins; null where it has none, or was cut before its end. */
function findHeader(frame: Buffer): Found | null {
  let at = ETHERNET_BYTES;
  if (frame.length < at) return null;
  let type = frame.readUInt16BE(at - 2);
  for (let depth = 0; depth < MAX_VLAN_DEPTH && VLANS.includes(type); depth++) {
    at += VLAN_BYTES;
    if (frame.length < at) return null;
    type = frame.readUInt16BE(at - 2);
  }
  const header = [IPV4, IPV6].find((each) => each.type === type);
  return !header || frame.length < at + header.size ? null : { header, at };
}

/** Text of the source address; null where the frame has none, or was cut before it. */
export function sourceOf(frame: Buffer): string | null {
  const found = findHeader(frame);
  if (!found) return null;
  const { header, at } = found;
  const family = header === IPV4 ? AF.INET : AF.INET6;
  return formatAddress(family, frame, at + header.source, frame.length);
}

/**
 * A frame of that length of which only the head was captured: zeros stand for the rest. One that GRO
 * has merged may be longer than `most`: it is cut there, and its IP header says so.
 */
export function wholeFrame(head: Buffer, length: number, most: number): Buffer {
  const frame = Buffer.alloc(Math.min(length, most));
  head.copy(frame);
  const found = length > most ? findHeader(frame) : null;
  if (found) {
    const { header, at } = found;
    frame.writeUInt16BE(frame.length - at - header.notCounted, at + header.lengthAt);
  }
  return frame;
}
