/** Numbers of the kernel's uapi headers, under the kernel's names. */

/** linux/netlink.h */
export const NLMSG = { ERROR: 2, DONE: 3 } as const;
export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  /** On a dump: the kernel's tables changed under it, so objects may be missing or doubled. */
  DUMP_INTR: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  /** On NLMSG_ERROR: the request's payload was left out. */
  CAPPED: 0x100,
  /** On NLMSG_ERROR and NLMSG_DONE: attributes of NLMSGERR_ATTR follow. */
  ACK_TLVS: 0x200,
} as const;
export const NLMSGERR_ATTR = { MSG: 1 } as const;
export const NETLINK_ROUTE = 0;
export const SOL_NETLINK = 270;
export const NETLINK_OPT = {
  ADD_MEMBERSHIP: 1,
  CAP_ACK: 10,
  EXT_ACK: 11,
  GET_STRICT_CHK: 12,
} as const;

/** linux/rtnetlink.h */
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  GETNSID: 90,
} as const;
export const RTNLGRP = {
  LINK: 1,
  IPV4_IFADDR: 5,
  IPV4_ROUTE: 7,
  IPV6_IFADDR: 9,
  IPV6_ROUTE: 11,
} as const;
export const RTA = {
  DST: 1,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  MULTIPATH: 9,
  TABLE: 15,
  VIA: 18,
} as const;
export const RT_TABLE_MAIN = 254;
export const RTN_UNICAST = 1;
export const RTN_BLACKHOLE = 6;
/** Routes the kernel makes itself: those of an interface's own prefixes. */
export const RTPROT_KERNEL = 2;
export const RT_SCOPE = { UNIVERSE: 0, LINK: 253 } as const;
export const RTM_F_CLONED = 0x200;

/** linux/if_link.h, linux/if.h, linux/veth.h */
export const IFLA = {
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  OPERSTATE: 16,
  LINKINFO: 18,
  IFALIAS: 20,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  LINK_NETNSID: 37,
  XDP: 43,
} as const;
export const IFLA_INFO = { KIND: 1, DATA: 2 } as const;
export const VETH_INFO_PEER = 1;
export const IFLA_XDP = { ATTACHED: 2, PROG_ID: 4 } as const;
export const XDP_ATTACHED = { NONE: 0, DRV: 1, SKB: 2, HW: 3, MULTI: 4 } as const;
export const XDP_FLAGS = { SKB_MODE: 0x2, DRV_MODE: 0x4 } as const;
export const RTEXT_FILTER_SKIP_STATS = 8;
export const IFF = { UP: 0x1 } as const;

/** linux/if_addr.h */
export const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8, PROTO: 11 } as const;
/** Addresses the kernel makes itself: loopback, router advertisement, link-local. */
export const IFAPROT = { KERNEL_LO: 1, KERNEL_RA: 2, KERNEL_LL: 3 } as const;
export const IFA_F = { NODAD: 0x02 } as const;

/** linux/net_namespace.h */
export const NETNSA = { NSID: 1, FD: 3 } as const;

export const AF = { UNSPEC: 0, INET: 2, INET6: 10 } as const;
