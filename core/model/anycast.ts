/**
 * The AnycastService resource (`aether.dev/v1`): addresses that every healthy edge of its selector
 * serves and announces by BGP, and no other.
 */
import type { API_VERSION } from './node';

export interface AnycastServiceResource {
  apiVersion: typeof API_VERSION;
  kind: 'AnycastService';
  metadata: { name: string; labels: Record<string, string> };
  spec: AnycastServiceSpec;
}

export interface AnycastServiceSpec {
  /** Canonical prefixes that are announced; none shorter than /24 and /48. */
  prefixes: string[];
  /**
   * Addresses (without length) that are served: held on `lo` of the namespace. All of `prefixes` that
   * are /32 or /128, and what the user adds; each lies in one of `prefixes`.
   */
  addresses: string[];
  /** Of every node of the selector: where the addresses live. */
  namespace: string;
  /** Labels that a node must have, all of them; never empty. */
  nodes: Record<string, string>;
  /** Empty: every region announces, all alike. Otherwise nodes of regions that it lacks do not. */
  regions: RegionShare[];
  /** Floor that binds commands: as many nodes announce whatever is drained or quarantined. */
  minAnnouncers: number;
  /** What a node does that has lost its proof and holds no permit to withdraw. */
  lastAnnouncer: 'deprefer' | 'withdraw';
  health: HealthSpec | null;
  /** `65000:100` (RFC 1997) each; on every announcement. */
  communities: string[];
  /** How often the own AS number is put before the path on every announcement, 0 … 10. */
  prepend: number;
}

/**
 * `weight` 0: a backup, announces only when `bgpFailover` says so. Above: the share it takes, 1 … 100;
 * one with less than the greatest prepends floor(log2(greatest / weight)) times on top.
 */
export interface RegionShare {
  name: string;
  weight: number;
}

export type ProbeSpec =
  | { kind: 'tcp'; port: number }
  | { kind: 'http'; port: number; path: string; status: number }
  /** Any answer with that rcode (0 = NOERROR) to a query of `name`, type A, over UDP. */
  | { kind: 'dns'; port: number; name: string; rcode: number }
  /** Run by the agent inside the namespace; healthy on exit status 0. */
  | { kind: 'command'; argv: string[] };

/** Asked of each address of the service inside its namespace, through the path a packet takes. */
export interface HealthSpec {
  probe: ProbeSpec;
  intervalMs: number;
  timeoutMs: number;
  /** Failures in a row until it is unhealthy, successes in a row until it is healthy again. */
  failures: number;
  successes: number;
}

/** A service as one of its edges gets it. */
export interface EdgeService {
  name: string;
  namespace: string;
  prefixes: string[];
  addresses: string[];
  /** What commands and regions make of it on this node; a lost proof can only lessen it. */
  commanded: { stance: Stance; why: string };
  /** This node may withdraw by itself: the floor holds without it (design §5). */
  permit: boolean;
  lastAnnouncer: AnycastServiceSpec['lastAnnouncer'];
  health: HealthSpec | null;
  communities: string[];
  /** All of it: the service's and what its region's weight adds. */
  prepend: number;
}

/**
 * How a prefix stands towards the peers, best first. `deprefer`: announced with GRACEFUL_SHUTDOWN
 * (65535:0, RFC 8326) and DEPREFER_PREPEND times the own AS number on top.
 */
export const STANCES = ['announce', 'deprefer', 'withdraw'] as const;
export type Stance = (typeof STANCES)[number];

export const worst = (...stances: Stance[]): Stance =>
  stances.reduce((a, b) => (STANCES.indexOf(b) > STANCES.indexOf(a) ? b : a), 'announce');
export const DEPREFER_PREPEND = 3;
/** RFC 8326, as the u32 of RFC 1997. */
export const GRACEFUL_SHUTDOWN = 0xffff0000;
