/** Who shall own which shard, as the key `ring` holds it, and what the planner decides by. */
import type { MemberState } from '../swim/types';

/** Id of a controller: a DNS label. */
export type ControllerId = string;

/** The map: `owners[shard]` is a place in `members`. Members are sorted by id; those without a shard are left out. */
export interface RingMap {
  members: readonly { id: ControllerId; weight: number }[];
  /** SHARD_COUNT entries. */
  owners: readonly number[];
}

/** A controller as its key `controllers/<id>` says; the key is on its lease. */
export interface Registration {
  id: ControllerId;
  /** New at each start: a restarted controller is not its former run. */
  boot: string;
  /** Positive integer: its share of the shards, beside the others'. */
  weight: number;
  /** Shall own nothing any more; it is still there until it has given everything up. */
  draining: boolean;
  /** `host:port`, where edges reach it. */
  edgeAddress: string;
  /** `host:port` of gossip, UDP and TCP; null: it takes no part. */
  gossipAddress: string | null;
  /** `host:port` of the admin API over TLS; null: it has none. */
  adminAddress: string | null;
}

/** What SWIM says of a controller; a hint. */
export interface Hint {
  state: MemberState;
  /** Members, ourselves included, that have found it unreachable by themselves. */
  confirmations: number;
}

/** Where the edges of a shard belong at this moment, as one controller sees it. */
export type Place =
  /** Ours: `holds` once we have its key; before, we are warming up. */
  | { kind: 'here'; holds: boolean }
  /** The owner, or who will be it as soon as the map says so. */
  | { kind: 'elsewhere'; controller: ControllerId; address: string }
  /** Its owner is gone and no heir is known: the edge stays where it is. */
  | { kind: 'nowhere' };
