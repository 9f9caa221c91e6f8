/** A router of the lab as a value: what it shall be, what it tells, and what a kind of it must know. */

export type RouterKind = 'bird' | 'frr' | 'gobgpd';

export interface RouterNeighbor {
  address: string;
  asn: number;
  /** On both sides alike; null or absent: no BFD. GoBGP's own BFD in a gobgpd. */
  bfd?: { intervalMs: number; multiplier: number } | null;
  /** TCP MD5. */
  password?: string;
  /** GTSM (RFC 5082). */
  ttlSecurity?: boolean;
  /** TTL of a session over several hops. */
  multihop?: number;
  /** For an observer: all paths by add-path (RFC 7911), each with the next hop it came with. */
  tellAllPaths?: boolean;
  /** Takes all paths that the neighbour tells. */
  hearAllPaths?: boolean;
}

/** A BFD session without BGP. */
export interface RouterBfdPeer {
  address: string;
  /** RFC 5883, from this address of its own; absent: a single hop. */
  multihopFrom?: string;
}

/** A session with an IPv4 address carries IPv4 routes, one with an IPv6 address IPv6 routes. */
export interface RouterConfig {
  asn: number;
  routerId: string;
  neighbors: RouterNeighbor[];
  /** Alike for all of them; not of gobgpd. */
  bfdPeers?: { peers: RouterBfdPeer[]; intervalMs: number; multiplier: number };
  /** Prefixes of its own. */
  announce: string[];
  /** Times its own AS number is put before what it announces. */
  prepend?: number;
  /** Prefixes that alone are taken in, these and longer ones; absent: all. Of gobgpd only. */
  hears?: string[];
  /** Whether best routes go into the kernel's main table; gobgpd can't. */
  kernel: boolean;
  /** Addresses (`host:port`) on which a gobgpd's API listens on top of its unix socket. */
  apiListen?: string[];
}

/** Seconds, of every router: RFC 4271 §10, and BIRD's error back-off (its default takes minutes). */
export const TIMERS = { holdS: 9, keepaliveS: 3, connectS: 1, errorWaitS: [1, 30] } as const;

export interface RouterSession {
  address: string;
  established: boolean;
  /** As the software names it. */
  state: string;
  /** Another one each time it comes up anew, as the software writes it; empty while it is not. */
  since: string;
  /** Routes taken in. */
  received: number;
}

export interface RouterRoute {
  best: boolean;
  nextHop: string;
  asPath: number[];
  /** `65535:0` each. */
  communities: string[];
}

export interface RouterBfdSession {
  address: string;
  up: boolean;
  state: string;
  /** In use after negotiation, where the software tells; ms. */
  detectTimeMs: number | null;
}

/** What one can ask of a router that runs. */
export interface RouterFace {
  sessions(): Promise<RouterSession[]>;
  /** Every path of exactly this prefix, best first. */
  routes(prefix: string): Promise<RouterRoute[]>;
  bfd(): Promise<RouterBfdSession[]>;
  /** As its administrator would: Cease/Administrative Reset (RFC 4486). */
  reset(address: string): Promise<void>;
}

/** One kind of router: files and command lines, and how to speak with it. Paths end in a directory. */
export interface RouterSoftware {
  /** User and group that the directory must belong to; null: root. */
  owner: string | null;
  /** Content of each file, by name. */
  files(config: RouterConfig, directory: string): Record<string, string>;
  /** In the order in which they are to be started. */
  processes(config: RouterConfig, directory: string): { name: string; argv: string[] }[];
  /** `directory` as the caller sees it. */
  face(config: RouterConfig, directory: string): RouterFace;
  /** Rejects until it runs and is configured. */
  ready(config: RouterConfig, directory: string): Promise<void>;
}

export const isIpv6 = (text: string): boolean => text.includes(':');

export const bestFirst = (routes: readonly RouterRoute[]): RouterRoute[] =>
  [...routes].sort((a, b) => Number(b.best) - Number(a.best));
