/** Interface addresses: struct ifaddrmsg and IFA_* (linux/if_addr.h). */
import { Attributes } from './attributes';
import { Truncated, readU32 } from './bytes';
import { AF, IFA, IFA_F, NLM_F, RTM } from './consts';
import { formatAddress, type IpPrefix } from './ip';
import { request, type Message } from './message';

/** u8 family, u8 prefix length, u8 flags, u8 scope, u32 ifindex. */
const IFADDRMSG = 8;

export interface Addr {
  ifindex: number;
  family: number;
  /** Canonical `address/prefixLength`; of a point-to-point address the local side. */
  address: string;
  /** IFA_F_*. */
  flags: number;
  /** IFA_PROTO (Linux 5.18); 0 = unset. */
  protocol: number;
}

/** IFA_PROTO alone, for those who skip addresses by it. */
export function addrProtocol({ bytes, start, end }: Message): number {
  const a = new Attributes(bytes, start + IFADDRMSG, end);
  while (a.step()) if (a.type === IFA.PROTO) return a.u8();
  return 0;
}

/** RTM_NEWADDR, RTM_DELADDR. Of other families than IP the address is empty. */
export function decodeAddr({ bytes, start, end }: Message): Addr {
  if (end - start < IFADDRMSG) throw new Truncated('ifaddrmsg');
  const family = bytes[start]!;
  const isIp = family === AF.INET || family === AF.INET6;
  const addr: Addr = {
    ifindex: readU32(bytes, start + 4),
    family,
    address: '',
    flags: bytes[start + 2]!,
    protocol: 0,
  };
  let address = '';
  let local = '';
  const a = new Attributes(bytes, start + IFADDRMSG, end);
  while (a.step()) {
    if (a.type === IFA.ADDRESS && isIp) address = formatAddress(family, bytes, a.at, a.end);
    else if (a.type === IFA.LOCAL && isIp) local = formatAddress(family, bytes, a.at, a.end);
    else if (a.type === IFA.FLAGS) addr.flags = a.u32();
    else if (a.type === IFA.PROTO) addr.protocol = a.u8();
  }
  if (local || address) addr.address = `${local || address}/${bytes[start + 1]!}`;
  return addr;
}

export const encodeDumpAddrs = (): Uint8Array =>
  request(RTM.GETADDR, NLM_F.DUMP, (w) => w.u32(AF.UNSPEC).u32(0));

function encodeAddr(type: number, flags: number, addr: AddrSpec): Uint8Array {
  const { family, prefixLength, bytes } = addr.address;
  return request(type, flags | NLM_F.ACK, (w) => {
    w.u8(family).u8(prefixLength).u8(0).u8(0).u32(addr.ifindex);
    w.attr(IFA.LOCAL, bytes).attr(IFA.ADDRESS, bytes);
    if (addr.protocol) w.attrU8(IFA.PROTO, addr.protocol);
    if (addr.noDad) w.attrU32(IFA.FLAGS, IFA_F.NODAD);
  });
}

export interface AddrSpec {
  ifindex: number;
  address: IpPrefix;
  protocol?: number;
  /** Usable at once: no duplicate address detection (RFC 4862 §5.4). */
  noDad?: boolean;
}

export const encodeNewAddr = (addr: AddrSpec): Uint8Array =>
  encodeAddr(RTM.NEWADDR, NLM_F.CREATE | NLM_F.EXCL, addr);

export const encodeDelAddr = (addr: AddrSpec): Uint8Array => encodeAddr(RTM.DELADDR, 0, addr);
