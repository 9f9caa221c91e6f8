/**
 * What the filter of one interface shall hold, small: lists of prefixes are named by their hash. Made
 * from an EdgeSpec, the edge's own overrides and the time; equal contents have equal hashes.
 */
import type { FilterSpec, RuleMode } from '../model/node';

/** A list in the edge's store of blobs (core/filter/blob.ts). */
export interface ListRef {
  name: string;
  mode: RuleMode;
  /** SHA-256 of the packed blob, hex. */
  sha256: string;
  count: number;
}

export interface FilterContents {
  interface: string;
  /** Canonical prefixes: the spec's, the controllers', and what else the agent must not lose. */
  failsafe: string[];
  allow: { mode: RuleMode; prefixes: string[] };
  lists: ListRef[];
  /** Single prefixes, by hand: `aether block`, `aether edge block`; expired ones are left out. */
  blocks: string[];
  rules: FilterSpec['rules'];
  rateLimit: FilterSpec['rateLimit'];
  malformed: FilterSpec['malformed'];
  /** 1 of so many packets of each reason is sampled; a power of two, 0 = none. */
  sampleEvery: number;
  track: FilterSpec['latency'];
}
