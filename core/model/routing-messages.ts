/**
 * What travels to, from and between the workflows of routing: drains, quarantines, failovers. JSON-plain,
 * versioned by adding optional fields only: recorded histories must go on to replay.
 */
import type { RegionShare, Stance } from './anycast';
import type { Phase } from './edge-spec';
import type { NodeName } from './ids';
import type { BfdState, BgpState, Command, RoutingEvent } from './routing';

// ---- What is placed where, and what is so: results of activities ------------------------------------

/** A service and all nodes of its selector, as etcd has them. */
export interface PlacedService {
  service: string;
  prefixes: string[];
  addresses: string[];
  minAnnouncers: number;
  regions: RegionShare[];
  /** `traffic/<service>`: regions that stand otherwise than their weight says. */
  traffic: Record<string, Command>;
  /** Of single nodes, which stand otherwise than their region. */
  nodeTraffic?: Record<NodeName, Command>;
  /** All of its selector; about one node that one, and enough of the others to know the floor. */
  nodes: PlacedNode[];
}

export interface PlacedNode {
  node: NodeName;
  region: string;
  phase: Phase | null;
  /** `routing/<node>`; null = nothing was ever commanded. */
  command: Command | null;
}

export interface Placement {
  /** mod revision of `governor`, 0 = absent: withdrawals that rest on this picture carry it. */
  governorRevision: number;
  /** etcd's, when the commands of nodes were read, after the governor. Absent: of a former version. */
  revision?: number;
  services: PlacedService[];
}

/** What a node says of its announcements, cut down to what a decision needs. */
export interface EdgeRouting {
  node: NodeName;
  /** Its stream is up; false: the rest is what it said last. */
  connected: boolean;
  /** When it said so; null = never. */
  atMs: number | null;
  /** Of the spec that it has accepted; null = not known. */
  acceptedRevision: number | null;
  services: {
    service: string;
    stance: Stance;
    announced: boolean;
    /** As ServiceView.proven. */
    proven?: boolean;
    why: string[];
  }[];
  neighbors: {
    address: string;
    localAddress: string | null;
    state: BgpState;
    held: boolean;
    /** Of its BFD session; absent: it has none. */
    bfd?: BfdState;
  }[];
}

/** Who announces what (ServiceView.announced), when `placement` was read. */
export interface Picture {
  governorRevision: number;
  /** As Placement has it: of whoever is commanded something later it does not tell. */
  revision?: number;
  announcers: Record<string, NodeName[]>;
  /** Those of them that have lost their proof, and announce as the last choice for want of a permit. */
  unproven?: Record<string, NodeName[]>;
}

/** Who wants it and why: goes into the key and the history. */
export interface Wish {
  reason: string;
  by: string;
  /** Below the floor as well. A person's word only. */
  force: boolean;
}

export interface NodeCommand extends Wish {
  node: NodeName;
  stance: Stance;
  /** Null: it rests on none, and is compared with none; never with `withdraw`. */
  picture: Picture | null;
}

export interface TrafficCommand extends Wish {
  service: string;
  /** Null: as its weight says again. What is not named stays as it is. */
  regions: Record<string, Stance | null>;
  /** As above, of single nodes: a staged return. */
  nodes: Record<NodeName, Stance | null>;
  picture: Picture | null;
}

export interface Commanded {
  /** mod revision of the write, or of what was there already: specs of at least it know the command. */
  revision: number;
  /** Announcers of each service that are left by it, as far as the picture knows. */
  left: Record<string, number>;
}

/** One path as an observer's peers have it. */
export interface SeenPath {
  prefix: string;
  /** The observer's neighbour that told it. */
  from: string;
  nextHop: string;
  /** Whose it is: the edge with that NeighborView.localAddress; null = of nobody we know. */
  node: NodeName | null;
  best: boolean;
  /** `65535:0` each. */
  communities: string[];
  asPathLength: number;
}

export interface Seen {
  /** False: no observer is configured, nothing can be verified at peers. */
  configured: boolean;
  observers: { name: string; problem: string | null; paths: SeenPath[] }[];
  /** Nodes asked about of whose sessions nobody has told: a path of nobody's may be one of theirs. */
  unplaced?: NodeName[];
}

/** Packets that came in for a service's addresses on a node, since its filter was loaded. */
export interface ServiceCounters {
  atMs: number;
  /** By address; null = nothing counts it (no filter on an uplink, an agent of a former version). */
  packets: Record<string, number | null>;
}

/** `announced`: each prefix by one of them; `moved`: no router prefers one of them; `gone`: by none. */
export const SEEN_AS = ['announced', 'moved', 'gone'] as const;
export type SeenAs = (typeof SEEN_AS)[number];

/** How a wait ended: evidence either way. */
export interface Waited {
  reached: boolean;
  waitedMs: number;
  /** For people: what was seen, or what is missing. */
  evidence: string;
}

// ---- Inputs -----------------------------------------------------------------------------------------

/** How long each step of a drain may take; all in ms, whatever is absent has a default. */
export interface DrainTimings {
  /** For the edges to follow a command. */
  followMs?: number;
  /** For the peers to move. */
  moveMs?: number;
  /** Waited where no observer is configured. */
  unseenMs?: number;
  /** Counters rest for so long … */
  quietMs?: number;
  /** … and are waited for at most so long. */
  quietLimitMs?: number;
}

/** Input of drainNode. */
export interface DrainInput {
  node: NodeName;
  reason: string;
  by: string;
  /** Back to normal, instead. */
  undo?: boolean;
  force?: boolean;
  timings?: DrainTimings;
}

/** Input of drainService: in these regions, or everywhere (which the floor refuses unless forced). */
export interface ServiceDrainInput {
  service: string;
  /** Null: all. */
  regions: string[] | null;
  reason: string;
  by: string;
  undo?: boolean;
  force?: boolean;
  timings?: DrainTimings;
}

/** What nodeLifecycle keeps of an upstream; the arithmetic is in core/damping. */
export interface PenaltyView {
  /** Address of the upstream; `*`: of the node as a whole. */
  upstream: string;
  penalty: number;
  atMs: number;
  halfLifeMs: number;
  suppressedSinceMs: number | null;
  /** When it falls to the reuse threshold; null = it is not suppressed. */
  reuseAtMs: number | null;
  /** The last causes, newest last. */
  causes: { atMs: number; cause: string; weight: number }[];
}

/** Input of quarantineNode; also what its signal `penalty` carries. */
export interface QuarantineInput {
  node: NodeName;
  reason: string;
  /** Of what is suppressed, the latest; a later one moves it. */
  untilMs: number;
  timings?: DrainTimings & { stageMs?: number };
}

/** Of what the owner of a service's shard says: its fence, and a count of its own. */
export interface EvidenceOrder {
  incarnation: number;
  owner: number;
  sequence: number;
}

export interface FailoverEvidence {
  /** For people; clocks may step, so nothing is ordered by it. */
  atMs: number;
  /** Absent: a person's word, or a former version's. */
  order?: EvidenceOrder;
  region: string;
  state: 'down' | 'up';
  /** For people: "BFD of 3 of 3 nodes down", "2 of 3 regions see its probes fail". */
  what: string;
}

/** Input of bgpFailover. */
export interface FailoverInput {
  service: string;
  /** The first evidence; of a planned move: who says so. */
  evidence: FailoverEvidence;
  by: string;
  /** Moves away from a region that works: refused without headroom. */
  planned?: boolean;
  /** Where to; absent: the regions that announce, else the first backup that can. */
  to?: string;
  /** Packets per s that one node of the receivers carries; absent: their number is what counts. */
  capacityPps?: number;
  force?: boolean;
  timings?: FailoverTimings;
  carried?: FailoverCarried;
}

export interface FailoverTimings extends DrainTimings {
  /** The region has to be well for so long before it returns; 60 s. */
  holdDownMs?: number;
  /** Each stage of the return has to hold for so long; 10 s. */
  stageMs?: number;
  /** How often a region that is down is looked at, evidence apart; 60 s. */
  lookMs?: number;
  /** A region that fails again so soon after its return is held down for longer; 60 s. */
  settleMs?: number;
}

/** What a failover knows when it begins anew by continue-as-new. */
export interface FailoverCarried {
  /** Something was taken away since it began. */
  moved: boolean;
  /** The last evidence of each region. */
  told: FailoverEvidence[];
  /** When it was heard, by region. */
  heardMs?: Record<string, number>;
  /** Regions whose traffic was taken away. */
  away: string[];
  /** Backups that announce because we said so. */
  raised: string[];
  /** A person wants it back, and it was not begun yet. */
  hand: ByHand | null;
  /** Regions that were away and are back. */
  returned?: string[];
  /** Returns that did not hold, by region. */
  relapses: Record<string, number>;
  steps: RoutingStep[];
}

// ---- Signals, queries -------------------------------------------------------------------------------

/** Signal of nodeLifecycle: in the order of their sequence; one handed on twice counts once. */
export interface RoutingEvents {
  events: RoutingEvent[];
}

/** A person ends something early: undrain, release, fail back. */
export interface ByHand {
  by: string;
  reason: string;
  /** Of an undrain: it waits no longer for what upstreams damp. */
  force?: boolean;
}

export interface RoutingStep {
  what: string;
  outcome: 'running' | 'done' | 'unverified' | 'failed' | 'undone';
  startedAtMs: number;
  endedAtMs: number | null;
  evidence: string | null;
}

/** Query `progress` of drainNode, drainService, quarantineNode, bgpFailover. */
export interface RoutingProgress {
  subject: string;
  state: string;
  steps: RoutingStep[];
  /** The next thing that will happen by time alone. */
  next: { what: string; atMs: number } | null;
  /** What was taken away is being brought back: a drain that joins it would take nothing away. */
  returning?: boolean;
}
