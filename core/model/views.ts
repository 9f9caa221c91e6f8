/** What the admin API answers and the CLI prints (`--json` prints these as they are). */
import type { Phase } from './edge-spec';
import type { NodeName } from './ids';
import type { EdgeStatus, LifecycleState } from './messages';
import type { Command, RoutingStatus } from './routing';
import type { RoutingProgress, Seen } from './routing-messages';
import type { AnycastServiceResource, Stance } from './anycast';
import type { BlocklistResource } from './blocklist';
import type { NodeResource, RuleMode } from './node';

export interface NodeView {
  name: NodeName;
  region: string;
  labels: Record<string, string>;
  phase: Phase | null;
  /** etcd mod revision of the node's key. */
  revision: number;
  deletionRevision: number | null;
  shard: number;
  connected: boolean;
  /** accepted hash = applied hash = desired hash, no finding. */
  converged: boolean;
  findings: number;
  frozen: boolean;
  /** Who has frozen it, where, since when and why: one line each. Absent: a controller of a former version. */
  freezes?: string[];
  lastIncident: string | null;
  /** When the newest certificate was issued that its edge has shown; null: it has shown none. */
  certificateIssuedAtMs: number | null;
  /** Why it was not onboarded as it is wanted now; null, or absent: it was, or nobody has tried yet. */
  onboardFailed?: string | null;
  /** One line: why it is not converged, or when it was last repaired. */
  note: string | null;
}

export interface NodeDescription {
  view: NodeView;
  resource: NodeResource;
  lifecycle: LifecycleState | null;
  edge: EdgeStatus | null;
  routing: NodeRoutingView;
  workflows: WorkflowView[];
}

/** `explain`: desired, observed, difference, last decision, next timer. */
export interface NodeExplanation {
  view: NodeView;
  desired: { revision: number; hash: string; summary: string[] };
  observed: { acceptedRevision: number | null; appliedHash: string | null; atMs: number } | null;
  difference: string[];
  /** Why it is not repaired right now; null where nothing is to be done. */
  whyNot: string | null;
  lastDecision: string | null;
  nextTimer: string | null;
  lastRepair: string | null;
  /** What was blocked and spared on the host itself; the control plane does not want it, nor undo it. */
  byHand: string[];
  /** Services that it does not announce as it could, and why: one line each. */
  notAnnounced: string[];
}

/** A certificate of a process, as it holds it now. */
export interface CertificateView {
  /** For whom: `controller` (edges, other controllers, operators), `etcd`, `temporal`. */
  what: string;
  expiresAtMs: number;
  /** SHA-256 of the authority that issued it, hex with colons; '': none that is trusted here. */
  authority: string;
  /** Of all authorities that are trusted here. */
  trusted: string[];
  /** Why what is on the disk is not taken; null: it is. */
  problem: string | null;
}

export interface ControllerStatus {
  id: string;
  /** The one that answers hears it now; of itself, true. */
  heard: boolean;
  draining: boolean;
  /** Shards that it owns, and edges whose streams it has. */
  shards: number;
  edges: number;
  edgeAddress: string;
  adminAddress: string | null;
  /** Null: it is not heard, or of a version that does not tell. */
  certificates: CertificateView[] | null;
}

/** It had a lease, and was seen to die. */
export interface DeadController {
  id: string;
  sinceMs: number;
}

export interface ClusterStatus {
  controller: string;
  version: string;
  clusterIncarnation: number;
  /** Of the controller that answers. */
  shardsOwned: number;
  /** All that are registered, by id. */
  controllers: ControllerStatus[];
  /** As far as the one that answers was there to see; absent: of a version that does not tell. */
  dead?: DeadController[];
  /** Null: etcd was not read yet, so nobody knows here. */
  nodes: { total: number; connected: number; converged: number } | null;
  /** `problem`: why it does not answer; null, or absent: it does, or of a version that does not tell. */
  etcd: { ok: boolean; endpoints: string[]; problem?: string | null };
  temporal: { ok: boolean; address: string; namespace: string; uiUrl: string | null };
  certificates: CertificateView[];
  frozen: boolean;
}

export interface BlocklistView {
  name: string;
  /** etcd mod revision of its key. */
  revision: number;
  mode: RuleMode;
  /** Labels that its nodes have. */
  nodes: Record<string, string>;
  /** Prefixes that it blocks for good, and the name of that set; null while it blocks nothing. */
  count: number;
  sha256: string | null;
  /** Entries that end by themselves and have not yet. */
  temporary: number;
  /** Nodes that it is bound to, and those of them whose edge has applied it as it is. */
  bound: number;
  applied: number;
  feed: FeedView | null;
}

/** A prefix blocked by hand. */
export interface BlockView {
  prefix: string;
  /** etcd mod revision of its key. */
  revision: number;
  reason: string;
  by: string;
  atMs: number;
  /** Null = until it is unblocked. */
  untilMs: number | null;
  /** Labels that its nodes have; null = every node. */
  nodes: Record<string, string> | null;
  /** Nodes that it concerns now. */
  bound: number;
}

export interface FeedView {
  url: string;
  /** Prefixes that it held when it was last believed. */
  count: number;
  lastGoodAtMs: number | null;
  lastTryAtMs: number | null;
  /** It was not tried for three refreshes: Temporal, its Schedule or who owns its shard is away. */
  overdue: boolean;
  /** Why the last try was not believed; the list before it stands. Null = it was. */
  problem: string | null;
  notes: string[];
}

export interface BlocklistDescription {
  view: BlocklistView;
  resource: BlocklistResource;
  nodes: { node: NodeName; connected: boolean; applied: boolean; note: string | null }[];
}

export interface AnycastServiceView {
  name: string;
  /** etcd mod revision of its key. */
  revision: number;
  prefixes: string[];
  namespace: string;
  /** Labels that its nodes have. */
  nodes: Record<string, string>;
  minAnnouncers: number;
  /** Nodes that it is bound to. */
  bound: number;
  /** Those of them that announce it now. */
  announcers: NodeName[];
}

/** One service on one of its nodes: what shall be, what is, and why they differ. */
export interface ServiceEdgeView {
  node: NodeName;
  region: string;
  phase: Phase | null;
  connected: boolean;
  /** By weights and commands; null while the node has no spec. */
  commanded: { stance: Stance; why: string } | null;
  /** As the edge said last; null = it has not said. */
  stance: Stance | null;
  announced: boolean;
  /** Why it is not announced, or not fully; empty = it is. One sentence each. */
  why: string[];
  sinceMs: number | null;
  permit: boolean;
  /** Neighbours it is exported to: established, and not held. */
  peers: string[];
}

export interface AnycastServiceDescription {
  view: AnycastServiceView;
  resource: AnycastServiceResource;
  edges: ServiceEdgeView[];
  /** Regions that stand otherwise than their weight says. */
  traffic: Record<string, Command>;
  /** At the routers, as far as observers tell. */
  seen: Seen;
  workflows: WorkflowView[];
}

/** BGP and BFD of a node, as its edge said last. */
export interface NodeRoutingView {
  node: NodeName;
  region: string;
  connected: boolean;
  /** Null: nothing was ever commanded. */
  command: Command | null;
  heardAtMs: number | null;
  status: RoutingStatus | null;
}

export interface WorkflowView {
  id: string;
  runId: string;
  type: string;
  status: string;
  startedAtMs: number;
}

/** What came of loading a feed; `kept`: the list before it stands, for the reason in `problem`. */
export interface FeedOutcome {
  outcome: 'updated' | 'unchanged' | 'kept' | 'gone';
  problem: string | null;
  /** Prefixes of the feed that count now; null where nobody could tell. */
  count: number | null;
  added: number;
  removed: number;
  sha256: string | null;
  /** Lines that were no prefix, and the like. */
  notes: string[];
}

/** A workflow of routing, as it is now. */
export interface RouteProgress {
  workflowId: string;
  runId: string;
  /** As Temporal names it: RUNNING, COMPLETED, FAILED … */
  status: string;
  /** Null where it can't be asked at this moment. */
  progress: RoutingProgress | null;
  /** Of one that has ended. */
  result: unknown;
  /** Why it failed; `code` of the refusal where it was one. */
  failure: { code: string | null; message: string } | null;
}
