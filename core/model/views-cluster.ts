/** The cluster of controllers, as the admin API answers and the CLI prints it. */

export interface ControllerView {
  id: string;
  /** Of its present run. */
  boot: string;
  /** It answered this question. */
  self: boolean;
  /** It has a lease: it is a controller. */
  registered: boolean;
  draining: boolean;
  weight: number;
  /** Shards that the map gives it, and those whose key it has. */
  shards: number;
  holds: number;
  edgeAddress: string | null;
  adminAddress: string | null;
  /** As SWIM sees it from here; null: it has not been heard of, or gossip is off. Times in ms since the epoch. */
  gossip: {
    address: string;
    state: 'alive' | 'suspect' | 'dead' | 'left';
    incarnation: number;
    sinceMs: number;
    confirmations: number;
  } | null;
}

export interface ShardView {
  shard: number;
  /** By the map. */
  controller: string;
  /** Who has its key, and the fence; null: nobody, at this moment. */
  owner: string | null;
  ownerRevision: number | null;
  /** Whoever is ready to take it over. */
  warm: string | null;
  /** Nodes that belong to it. */
  edges: number;
}

/** Of the map, or registered, or of whom a shard is still. */
export interface RingMemberView {
  id: string;
  /** 0: it is gone, and the map has forgotten it. */
  weight: number;
  /** `gone`: it has no lease. */
  state: 'here' | 'draining' | 'gone';
  shards: number;
  holds: number;
  edges: number;
  /** Its load beside its fair share, 1 = just that. */
  load: number;
}

/** A map that was written, and when by the clock of the controller that wrote it. */
export interface RingChange {
  epoch: number;
  atMs: number;
  /** `from` null: there was no map. */
  moves: { from: string | null; to: string; shards: number }[];
}

export interface RingView {
  /** Null: there is no map yet. */
  epoch: number | null;
  /** The largest load beside a fair share. */
  imbalance: number;
  members: RingMemberView[];
  shards: ShardView[];
  /** The newest first. */
  changes: RingChange[];
}
