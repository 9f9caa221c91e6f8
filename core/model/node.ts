/**
 * The Node resource as its users write it (`aether.dev/v1`). The schema beside it (`schema.ts`)
 * validates exactly these shapes; the JSON Schema for editors is generated from there.
 */
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

/** XDP on an interface of the host, where packets enter. */
export interface FilterSpec {
  interface: string;
  mode: 'native' | 'generic';
}

export interface RepairPolicy {
  policy: 'auto' | 'propose' | 'report';
  budget: { attempts: number; perMs: number };
  /** How long the edge waits for a decision before it repairs by itself. */
  autonomyAfterMs: number;
}

export const DEFAULT_REPAIR: RepairPolicy = {
  policy: 'auto',
  budget: { attempts: 5, perMs: 600_000 },
  autonomyAfterMs: 1_000,
};
