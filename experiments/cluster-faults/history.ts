/** What was seen while things went wrong, by those that are not Aether: the material of the checker. */
import type { OwnerFence } from '../../core/model/edge-spec';
import type { FaultName } from './schedule';

export type HistoryEvent =
  /** `number` counts the faults of a run. */
  | { kind: 'fault'; number: number; fault: FaultName; phase: 'begins' | 'ends' }
  /** `recoveryMs` from the fault's end; null: not within the bound, and `missing` says what. */
  | { kind: 'healed'; number: number; fault: FaultName; recoveryMs: number | null; missing: string }
  /** A client's wish, at the time of the answer. */
  | Apply
  /** An edge took a spec as what it shall be. In the order of its log, across its restarts. */
  | { kind: 'accepted'; edge: string; revision: number; fence: OwnerFence }
  /** An edge did not listen, and told so. */
  | { kind: 'unheard'; edge: string; heard: OwnerFence; held: OwnerFence }
  /** An edge takes a controller for its owner. In the order of its log. */
  | { kind: 'obeys'; edge: string; controller: string; fence: OwnerFence }
  /** A controller wrote as an owner, and was not one any more; `by`: who said so, etcd or its own guard. */
  | { kind: 'refused'; controller: string; shard: number; token: number; by: string }
  /** What a former owner was about to write is written, at this revision; others own since `token`. */
  | { kind: 'wrote'; controller: string; revision: number; token: number }
  /** What was to go wrong did not, and why: says nothing of Aether. */
  | { kind: 'missed'; what: string }
  /** The kernel of the edge, when everything had healed. */
  | { kind: 'found'; edge: string; marker: number }
  /** A router told the observer of a path to a service, or that there is none any more. */
  | { kind: 'path'; prefix: string; via: string; present: boolean }
  /** A process ended that nobody has ended. */
  | { kind: 'crashed'; process: string };

export interface Apply {
  kind: 'apply';
  edge: string;
  controller: string;
  /** By which the edge's kernel shows it. */
  marker: number;
  beganMs: number;
  /** `unknown`: it may or may not have been written, and may yet be. */
  outcome: 'accepted' | 'refused' | 'unknown';
  /** 0 unless accepted. */
  revision: number;
  said: string;
}

/** In the order in which it was seen; ms since the beginning of the run. */
export type History = readonly (HistoryEvent & { atMs: number })[];
export type Entry = History[number];
