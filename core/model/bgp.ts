/** BGP and BFD of a Node, as normalised: durations in milliseconds, addresses canonical. */

export interface BgpSpec {
  /** 1 … 4294967295. */
  asn: number;
  /** Dotted; unique among the nodes. */
  routerId: string;
  /** TCP port to listen on in the host's root namespace; null = only dials. */
  listenPort: number | null;
  /** What may enter from neighbours (these and longer ones); nothing else does. */
  importPrefixes: string[];
  /** Best paths go into the main table, protocol 175 (MARK.routeProtocol), metric 20. */
  installRoutes: boolean;
  neighbors: NeighborSpec[];
}

export interface NeighborSpec {
  address: string;
  asn: number;
  /** Name of a file in the agent's secrets directory: TCP MD5 (RFC 2385). The secret is nowhere else. */
  passwordRef: string | null;
  /** GTSM (RFC 5082): packets with a TTL below 255 are not taken. Not together with `multihop`. */
  ttlSecurity: boolean;
  /** TTL of an eBGP session over several hops; null = directly connected. */
  multihop: number | null;
  /** Negotiated down by the peer; keepalive is a third. At least 3 s. */
  holdTimeMs: number;
  /** The session goes down where more routes of a family come in. */
  maxPrefixes: number;
  bfd: BfdSpec | null;
}

/** RFC 5880 §6.8.1: DesiredMinTxInterval = RequiredMinRxInterval = `intervalMs`. */
export interface BfdSpec {
  /** 10 … 60000. */
  intervalMs: number;
  /** bfd.DetectMult, 1 … 255. */
  multiplier: number;
  /** A session that came back counts as up only after it has been for so long. */
  holdDownMs: number;
}

/** A BFD session without BGP, e.g. with an edge of another region. */
export interface BfdPeerSpec extends BfdSpec {
  address: string;
  /** RFC 5883 (port 4784, no TTL check) instead of RFC 5881. */
  multihop: boolean;
  /** Sent from; absent: the kernel's choice. A seamless one has it: it is what the peer asks. */
  local?: string;
  /** Absent: asynchronous (RFC 5880), between two processes. Seamless: each asks the other's XDP program (RFC 7880). */
  mode?: 'seamless';
  /** The peer's questions are answered with AdminDown; of a seamless one only. */
  outOfService?: true;
}
