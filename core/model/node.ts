/**
 * The Node resource as its users write it (`aether.dev/v1`). The schema beside it (`schema.ts`)
 * validates exactly these shapes; the JSON Schema for editors is generated from there.
 */
import type { BfdPeerSpec, BgpSpec } from './bgp';
import type { NodeName } from './ids';

export const API_VERSION = 'aether.dev/v1';

export interface NodeResource {
  apiVersion: typeof API_VERSION;
  kind: 'Node';
  metadata: { name: NodeName; region: string; labels: Record<string, string> };
  spec: NodeSpec;
}

export interface NodeSpec {
  namespaces: NamespaceSpec[];
  filters: FilterSpec[];
  /** Null: it speaks no BGP. */
  bgp: BgpSpec | null;
  /** BFD sessions without BGP. */
  bfdPeers: BfdPeerSpec[];
  repair: RepairPolicy;
}

/** A named network namespace, `/run/netns/<name>` on its host. */
export interface NamespaceSpec {
  name: string;
  links: LinkSpec[];
  routes: RouteSpec[];
  /** `net.*` keys in dotted form to values as the kernel prints them. */
  sysctls: Record<string, string>;
}

/** A veth pair: `name` in the host, `peer` inside the namespace. */
export interface LinkSpec {
  name: string;
  peer: string;
  /** Bytes, 68 … 65535. */
  mtu: number;
  /** Interface addresses with prefix length, canonical text (RFC 5952 for IPv6). */
  hostAddresses: string[];
  addresses: string[];
}

export interface RouteSpec {
  /** Canonical prefix; `0.0.0.0/0` and `::/0` are the default routes. */
  to: string;
  via: string;
}

/** `count`: what matches is counted, and not dropped (not spared) by it. */
export type RuleMode = 'enforce' | 'count';

/** XDP on an interface of the host, where packets enter. Order of verdict: docs/notes/filter.md. */
export interface FilterSpec {
  interface: string;
  mode: 'native' | 'generic';
  /** Sources that can never be dropped: operators' addresses. The agent adds its controllers'. */
  failsafe: string[];
  /** Sources that no later rule drops. */
  allow: { mode: RuleMode; entries: PrefixEntry[] };
  /** What is dropped by its shape, whoever sent it; at most 64 (RULES_MAX of bpf/include/consts.h). */
  rules: { mode: RuleMode; entries: ShapeRule[] };
  /** Per source (IPv6: per /64); null = none. */
  rateLimit: { mode: RuleMode; packetsPerSecond: number; burst: number } | null;
  malformed: 'drop' | 'pass';
  /** Kernel-time latency histograms: of none, of one in `n` flows chosen by hash. */
  latency: { oneFlowIn: number } | null;
}

/** `expiresAtMs`: epoch ms from which on it counts no more; null = never. */
export interface PrefixEntry {
  prefix: string;
  reason: string;
  expiresAtMs: number | null;
}

/** All fields that are set must match; at least one is. Ranges include both ends. */
export interface ShapeRule {
  name: string;
  reason: string;
  expiresAtMs: number | null;
  mode: RuleMode;
  /** Canonical prefix of the destination. */
  destination: string | null;
  /** IP protocol number. */
  protocol: number | null;
  sourcePort: { min: number; max: number } | null;
  destinationPort: { min: number; max: number } | null;
  /** Bytes of the IP packet, its header included. */
  length: { min: number; max: number } | null;
  /** (flags & mask) = value, bits as in RFC 9293: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32. */
  tcpFlags: { mask: number; value: number } | null;
  /** True: fragments only; null: whatever it is. */
  fragment: true | null;
}

export interface RepairPolicy {
  policy: 'auto' | 'propose' | 'report';
  budget: { attempts: number; perMs: number };
  /** How long the edge waits for a decision before it repairs by itself. */
  autonomyAfterMs: number;
}

/** A filter that only counts and samples. */
export const DEFAULT_FILTER: Omit<FilterSpec, 'interface' | 'mode'> = {
  failsafe: [],
  allow: { mode: 'enforce', entries: [] },
  rules: { mode: 'enforce', entries: [] },
  rateLimit: null,
  malformed: 'drop',
  latency: null,
};

export const plainFilter = (
  interfaceName: string,
  mode: FilterSpec['mode'] = 'native',
): FilterSpec => ({ interface: interfaceName, mode, ...DEFAULT_FILTER });

/** A node that neither speaks BGP nor watches a peer. */
export const NO_ROUTING: Pick<NodeSpec, 'bgp' | 'bfdPeers'> = { bgp: null, bfdPeers: [] };

export const DEFAULT_REPAIR: RepairPolicy = {
  policy: 'auto',
  budget: { attempts: 5, perMs: 600_000 },
  autonomyAfterMs: 1_000,
};
