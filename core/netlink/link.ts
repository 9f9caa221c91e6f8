/** Links: struct ifinfomsg and IFLA_* (linux/if_link.h). */
import { Attributes, type AttributeWriter } from './attributes';
import { Truncated, readS32, readU16, readU32 } from './bytes';
import {
  AF,
  IFF,
  IFLA,
  IFLA_INFO,
  IFLA_XDP,
  NLM_F,
  RTEXT_FILTER_SKIP_STATS,
  RTM,
  VETH_INFO_PEER,
  XDP_ATTACHED,
} from './consts';
import { request, type Message } from './message';

/** u8 family, u8 pad, u16 type, s32 index, u32 flags, u32 change. */
const IFINFOMSG = 16;

export interface Link {
  index: number;
  /** ARPHRD_*: 1 Ethernet, 772 loopback. */
  type: number;
  /** IFF_*. */
  flags: number;
  name: string;
  mtu: number;
  /** IFLA_INFO_KIND, null for hardware and lo. */
  kind: string | null;
  alias: string | null;
  group: number;
  /** IFLA_LINK: of a veth the peer's index, in the namespace that `linkNetnsid` names. */
  link: number | null;
  /** Null: the same namespace. */
  linkNetnsid: number | null;
  master: number | null;
  /** IF_OPER_*: 6 up, 2 down, 0 unknown. */
  operstate: number;
  xdp: { attached: 'native' | 'generic' | 'offload' | 'multi'; programId: number } | null;
}

const XDP_MODES = new Map([
  [XDP_ATTACHED.DRV, 'native'],
  [XDP_ATTACHED.SKB, 'generic'],
  [XDP_ATTACHED.HW, 'offload'],
  [XDP_ATTACHED.MULTI, 'multi'],
] as const);

function decodeXdp(attributes: Attributes): Link['xdp'] {
  let mode: number = XDP_ATTACHED.NONE;
  let programId = 0;
  while (attributes.step()) {
    if (attributes.type === IFLA_XDP.ATTACHED) mode = attributes.u8();
    else if (attributes.type === IFLA_XDP.PROG_ID) programId = attributes.u32();
  }
  const attached = XDP_MODES.get(mode as 1);
  return attached ? { attached, programId } : null;
}

function decodeKind(attributes: Attributes): string | null {
  while (attributes.step()) if (attributes.type === IFLA_INFO.KIND) return attributes.string();
  return null;
}

/** RTM_NEWLINK, RTM_DELLINK. */
export function decodeLink({ bytes, start, end }: Message): Link {
  if (end - start < IFINFOMSG) throw new Truncated('ifinfomsg');
  const link: Link = {
    index: readS32(bytes, start + 4),
    type: readU16(bytes, start + 2),
    flags: readU32(bytes, start + 8),
    name: '',
    mtu: 0,
    kind: null,
    alias: null,
    group: 0,
    link: null,
    linkNetnsid: null,
    master: null,
    operstate: 0,
    xdp: null,
  };
  const a = new Attributes(bytes, start + IFINFOMSG, end);
  while (a.step()) decodeAttribute(link, a);
  return link;
}

function decodeAttribute(link: Link, a: Attributes): void {
  switch (a.type) {
    case IFLA.IFNAME:
      link.name = a.string();
      break;
    case IFLA.MTU:
      link.mtu = a.u32();
      break;
    case IFLA.LINK:
      link.link = a.u32();
      break;
    case IFLA.MASTER:
      link.master = a.u32();
      break;
    case IFLA.OPERSTATE:
      link.operstate = a.u8();
      break;
    case IFLA.LINKINFO:
      link.kind = decodeKind(a.nested());
      break;
    case IFLA.IFALIAS:
      link.alias = a.string();
      break;
    case IFLA.GROUP:
      link.group = a.u32();
      break;
    case IFLA.LINK_NETNSID:
      link.linkNetnsid = a.s32();
      break;
    case IFLA.XDP:
      link.xdp = decodeXdp(a.nested());
      break;
  }
}

export const isUp = (link: Pick<Link, 'flags'>): boolean => (link.flags & IFF.UP) !== 0;

/** By index, by name, or (deletion only) every link of a group. */
export type LinkRef = { index: number } | { name: string } | { group: number };

function writeIfinfo(w: AttributeWriter, index: number, up: boolean | undefined): void {
  w.u8(AF.UNSPEC).u8(0).u16(0).u32(index);
  w.u32(up ? IFF.UP : 0).u32(up === undefined ? 0 : IFF.UP);
}

function writeRef(w: AttributeWriter, ref: LinkRef, up?: boolean): void {
  writeIfinfo(w, 'index' in ref ? ref.index : 0, up);
  if ('name' in ref) w.attrString(IFLA.IFNAME, ref.name);
  if ('group' in ref) w.attrU32(IFLA.GROUP, ref.group);
}

const skipStats = (w: AttributeWriter): unknown =>
  w.attrU32(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS);

export const encodeDumpLinks = (): Uint8Array =>
  request(RTM.GETLINK, NLM_F.DUMP, (w) => {
    writeIfinfo(w, 0, undefined);
    skipStats(w);
  });

export const encodeGetLink = (ref: LinkRef): Uint8Array =>
  request(RTM.GETLINK, 0, (w) => {
    writeRef(w, ref);
    skipStats(w);
  });

export interface LinkChange {
  up?: boolean;
  mtu?: number;
  alias?: string;
  group?: number;
  /** Only with an index as reference; the kernel refuses to rename a link that is up. */
  name?: string;
}

/** Never with a target-nsid: the kernel would move the caller's link of that index. */
export const encodeSetLink = (ref: LinkRef, change: LinkChange): Uint8Array =>
  request(RTM.SETLINK, NLM_F.ACK, (w) => {
    writeRef(w, ref, change.up);
    if (change.name !== undefined) w.attrString(IFLA.IFNAME, change.name);
    if (change.mtu !== undefined) w.attrU32(IFLA.MTU, change.mtu);
    if (change.alias !== undefined) w.attrString(IFLA.IFALIAS, change.alias);
    if (change.group !== undefined) w.attrU32(IFLA.GROUP, change.group);
  });

export interface VethEnd {
  name: string;
  mtu?: number;
  group?: number;
}

/** The peer is made right in the namespace of `netnsFd`, which must stay open until the answer. */
export interface VethSpec extends VethEnd {
  peer: VethEnd & { netnsFd?: number };
}

function writeEnd(w: AttributeWriter, end: VethEnd): void {
  w.attrString(IFLA.IFNAME, end.name);
  if (end.mtu !== undefined) w.attrU32(IFLA.MTU, end.mtu);
  if (end.group !== undefined) w.attrU32(IFLA.GROUP, end.group);
}

/** Both ends, down. Fails with EEXIST where one of the names is taken. */
export const encodeNewVeth = (veth: VethSpec): Uint8Array =>
  request(RTM.NEWLINK, NLM_F.ACK | NLM_F.CREATE | NLM_F.EXCL, (w) => {
    writeIfinfo(w, 0, undefined);
    writeEnd(w, veth);
    w.nest(IFLA.LINKINFO, () => {
      w.attrString(IFLA_INFO.KIND, 'veth');
      w.nest(IFLA_INFO.DATA, () => {
        w.nest(VETH_INFO_PEER, () => {
          writeIfinfo(w, 0, undefined);
          writeEnd(w, veth.peer);
          if (veth.peer.netnsFd !== undefined) w.attrU32(IFLA.NET_NS_FD, veth.peer.netnsFd);
        });
      });
    });
  });

export const encodeDelLink = (ref: LinkRef): Uint8Array =>
  request(RTM.DELLINK, NLM_F.ACK, (w) => writeRef(w, ref));
