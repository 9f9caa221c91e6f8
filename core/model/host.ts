/**
 * A host as the agent sees it, and the steps that change it. Plain data on both sides: the planner
 * (`core/plan`) maps the first to the second, `adapters/native/host.ts` does both for real.
 */
import type { FilterContents } from '../filter/contents';
import type { FilterAnswer, FilterQuestion } from '../filter/questions';
import type { FilterSpec } from './node';

/** What to read: only named objects are opened, everything else on the host is none of our business. */
export interface ObserveScope {
  /** Names below /run/netns. */
  namespaces: string[];
  /** Sysctl keys to read, by namespace. */
  sysctls: Record<string, string[]>;
  /** Host interfaces whose XDP state matters. */
  filters: string[];
}

export interface ObservedHost {
  /** The network namespace in which the agent runs. */
  root: ObservedNetns;
  /** By name; a name of the scope that is absent here does not exist. */
  namespaces: Record<string, ObservedNamespace>;
  /** Of the scope's interfaces, and of every other one for which there is a pin of ours. */
  filters: ObservedFilter[];
  /** True where a dump stayed torn after its retries: absence proves nothing, do not delete by it. */
  interrupted: boolean;
}

/** `unmounted`: the name exists, but no namespace is mounted on it (a creation that was cut). */
export type ObservedNamespace = { state: 'unmounted' } | ({ state: 'mounted' } & ObservedNetns);

export interface ObservedNetns {
  /** nsfs inode: the identity of a namespace; names and nsids are reused. */
  inode: number;
  links: ObservedLink[];
  /** Of the main tables only; those that the kernel made itself may be left out. */
  routes: ObservedRoute[];
  /** Of the scope's keys; null where there is no such key. */
  sysctls: Record<string, string | null>;
}

export interface ObservedLink {
  ifindex: number;
  name: string;
  /** IFLA_INFO_KIND: `veth`, or null where there is none (lo, physical). */
  kind: string | null;
  /** IFLA_IFALIAS. */
  alias: string | null;
  mtu: number;
  /** IFF_UP: what was asked for, not whether a carrier is there. */
  up: boolean;
  /** IFLA_LINK: ifindex of a veth's peer, in the peer's namespace. */
  peerIfindex: number | null;
  /** nsfs inode of the peer's namespace where it could be resolved, else null. */
  peerInode: number | null;
  /** Those that the kernel made itself (link-local, loopback) may be left out. */
  addresses: ObservedAddress[];
}

export interface ObservedAddress {
  /** Canonical `address/prefixLength`. */
  address: string;
  /** IFA_PROTO; 0 where unset. */
  protocol: number;
}

export interface ObservedRoute {
  to: string;
  via: string | null;
  ifindex: number | null;
  /** rtm_protocol. */
  protocol: number;
  /** Only the main table is looked at. */
  metric: number;
  /** It leads nowhere: RTN_BLACKHOLE. */
  discards?: true;
}

export interface ObservedFilter {
  interface: string;
  /** Null where the interface does not exist. */
  ifindex: number | null;
  /** What is attached now; null = nothing. */
  attached: { programId: number; tag: string; mode: 'native' | 'generic'; ours: boolean } | null;
  /** Our pinned bpf_link; null where there is no pin. `ifindex` 0: its device is gone. */
  pin: { ifindex: number; programId: number; tag: string } | null;
  /**
   * Its sets and rules against what `setFilters` last asked for. `unknown`: nothing was asked for yet,
   * or it is just being loaded. `edited`: somebody else wrote or emptied a map; `detail` says which.
   */
  contents: { state: 'right' | 'edited' | 'missing' | 'unknown'; detail: string | null };
}

/** `error`: why it still holds what it held before; null = it is as wanted, or not attached yet. */
export interface FilterOutcome {
  interface: string;
  error: string | null;
  tookMs: number;
}

export type Step =
  | { op: 'createNamespace'; namespace: string }
  /** Refused by the host where the inode differs (null: only an unmounted name is removed). */
  | { op: 'deleteNamespace'; namespace: string; inode: number | null }
  /** Both ends are made down and marked by one request, the peer right in its namespace. */
  | {
      op: 'createVeth';
      namespace: string;
      name: string;
      peer: string;
      mtu: number;
      alias: string;
      peerAlias: string;
    }
  /** Deleting either end of a veth deletes both. Refused where the alias is not this one. */
  | { op: 'deleteLink'; namespace: string | null; ifindex: number; name: string; alias: string }
  /**
   * `ifindex` names the link as observed. The host sets it down first (kernels before 6.2 refuse to
   * rename a live one); later steps of the plan raise it again and restore what that flushed.
   */
  | { op: 'renameLink'; namespace: string | null; ifindex: number; alias: string; name: string }
  /** By name, since the link may have been made by an earlier step of the same plan. */
  | { op: 'setLinkUp'; namespace: string | null; name: string; alias: string }
  /** `lo` of a namespace that we made; it bears no mark. */
  | { op: 'raiseLoopback'; namespace: string }
  | { op: 'setLinkMtu'; namespace: string | null; name: string; alias: string; mtu: number }
  /**
   * Addresses and routes are made with our protocol number. What is there already in the same form
   * is a success, so is the deletion of what is absent.
   */
  | { op: 'addAddress'; namespace: string | null; link: string; address: string }
  | { op: 'deleteAddress'; namespace: string | null; link: string; address: string }
  | { op: 'addRoute'; namespace: string | null; to: string; via: string }
  | { op: 'deleteRoute'; namespace: string | null; to: string; via: string }
  /** Of the host: what no longer prefix leads to is dropped. */
  | { op: 'addDiscard'; to: string }
  | { op: 'deleteDiscard'; to: string }
  /** Answers with the former value. */
  | { op: 'setSysctl'; namespace: string; key: string; value: string }
  | { op: 'attachFilter'; interface: string; mode: FilterSpec['mode'] }
  /** Swaps the program of our live bpf_link in place; packets see no gap. */
  | { op: 'replaceFilter'; interface: string }
  /** Brings sets and rules back to what `setFilters` last asked for. */
  | { op: 'reloadFilter'; interface: string }
  /** Removes our pin, and with it our bpf_link, never anybody else's program. */
  | { op: 'detachFilter'; interface: string };

/**
 * Outcome of one step; `inode` from createNamespace, `former` from setSysctl. `changed: null` = unknown
 * (e.g. ENOBUFS on the request): observe again.
 */
export type StepResult =
  | { ok: true; inode?: number; former?: string }
  | { ok: false; code: string; message: string; changed: boolean | null };

/** A change on the host that was seen. `kernelAtMs`: epoch ms at which the event was received. */
export interface HostEvent {
  kernelAtMs: number;
  namespace: string | null;
  what: 'link' | 'address' | 'route' | 'namespace' | 'filter' | 'sysctl' | 'overrun';
  /** Netlink port id of whoever asked for the change (often its pid), null where unknown. */
  portId: number | null;
  /** For people: "link edge0 deleted". */
  summary: string;
}

/** Where the host reads the lists that FilterContents names. */
export interface BlobPort {
  /** The whole blob of that SHA-256, verified. Rejects where it is not here, or not whole. */
  read(sha256: string): Promise<Uint8Array>;
}

/** What people ask of the filters. Rejects where the kernel can't be asked. */
export interface FilterPort {
  ask(question: FilterQuestion): Promise<FilterAnswer>;
}

/**
 * The door to the kernel. `applyAll` gets steps that do not depend on one another (one wave of a
 * plan) and may run them side by side; results come in the order of the steps.
 */
export interface HostPort extends FilterPort {
  observe(scope: ObserveScope): Promise<ObservedHost>;
  applyAll(steps: readonly Step[]): Promise<StepResult[]>;
  /** Tag of the program that `attachFilter` loads: what `attached.tag` shall be. */
  readonly filterTag: string;
  /**
   * What the filters shall hold from now on, all of them; those that are attached are brought there at
   * once, each atomically for the packets, the others when `attachFilter` comes. On an error (a blob
   * that is missing, the kernel's memory) that interface goes on with what it had. Not a repair: it is
   * neither counted nor stopped by a freeze.
   */
  setFilters(wanted: readonly FilterContents[]): Promise<FilterOutcome[]>;
  /**
   * Subscribe to changes in the root and the scope's namespaces; a namespace that appears later
   * under a name of the scope is joined by itself. What sends no event is polled (1 s).
   */
  watch(scope: ObserveScope, onEvent: (event: HostEvent) => void): Promise<{ close(): void }>;
  close(): void;
}

/**
 * What the kernel can't hold of our marks, kept in the agent's state directory. Written before the
 * step (intent: inode null) and again after it.
 */
export interface Ledger {
  namespaces: Record<string, { inode: number | null }>;
  /** Key `<namespace>/<sysctl>`: the value before ours, and the namespace's inode it belongs to. */
  sysctls: Record<string, { inode: number; former: string }>;
}

export const EMPTY_LEDGER: Ledger = { namespaces: {}, sysctls: {} };
