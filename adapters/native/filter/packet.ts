/** Whom a captured frame came from, as far as people want to know. */
import { AF } from '../../../core/netlink/consts';
import { formatAddress } from '../../../core/netlink/ip';

const ETHERNET_BYTES = 14;
const VLAN_BYTES = 4;
const MAX_VLAN_DEPTH = 2;
const VLANS: readonly number[] = [0x8100, 0x88a8];
const IPV4 = { type: 0x0800, source: 12, size: 20 } as const;
const IPV6 = { type: 0x86dd, source: 8, size: 40 } as const;

/** Text of the source address; null where the frame has none, or was cut before it. */
export function sourceOf(frame: Buffer): string | null {
  let at = ETHERNET_BYTES;
  if (frame.length < at) return null;
  let type = frame.readUInt16BE(at - 2);
  for (let depth = 0; depth < MAX_VLAN_DEPTH && VLANS.includes(type); depth++) {
    at += VLAN_BYTES;
    if (frame.length < at) return null;
    type = frame.readUInt16BE(at - 2);
  }
  const header = [IPV4, IPV6].find((each) => each.type === type);
  if (!header || frame.length < at + header.size) return null;
  const family = header === IPV4 ? AF.INET : AF.INET6;
  return formatAddress(family, frame, at + header.source, frame.length);
}
