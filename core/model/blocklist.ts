/**
 * The Blocklist resource (`aether.dev/v1`): sources whose packets die in the driver, on every node
 * that its selector finds. Its prefixes never enter a workflow payload or a spec: they are one packed
 * blob (core/filter/blob.ts), cut into chunks that are named by their content.
 */
import type { API_VERSION, PrefixEntry, RuleMode } from './node';

export interface BlocklistResource {
  apiVersion: typeof API_VERSION;
  kind: 'Blocklist';
  metadata: { name: string; labels: Record<string, string> };
  spec: BlocklistSpec;
}

export interface BlocklistSpec {
  /** Labels that a node must have, all of them; never empty. */
  nodes: Record<string, string>;
  mode: RuleMode;
  /** Inline entries; used together with, or in place of, a feed. */
  entries: PrefixEntry[];
  feed: FeedSpec | null;
}

export interface FeedSpec {
  /** `https://…`, `http://…`, or `file:///…` on the controllers' hosts. */
  url: string;
  /** `auto`: by its first lines. */
  format: 'auto' | 'plain' | 'csv';
  /** Of a CSV: the column that holds the prefix, from 1. */
  column: number;
  refreshMs: number;
  maxBytes: number;
  maxPrefixes: number;
  /** A refresh that would take away more than this share of the list is not believed. */
  maxShrinkPercent: number;
}

/** A piece of a blob, at most CHUNK_BYTES long. */
export interface ChunkRef {
  /** SHA-256 of its bytes, hex. */
  sha256: string;
  bytes: number;
}
export const CHUNK_BYTES = 512 * 1024;

/** A list that has changed by more travels in its pieces: some 25,000 IPv4 prefixes taken away and as many added. */
export const DELTA_MAX_BYTES = 256 * 1024;

/** The blob that a list is at present. */
export interface BlobRef {
  /** SHA-256 of the whole blob, hex. */
  sha256: string;
  /** Prefixes in it. */
  count: number;
  chunks: ChunkRef[];
}

/** A prefix blocked by hand: `aether block`. Key `blocks/<prefix with _ for />`. */
export interface BlockValue {
  prefix: string;
  reason: string;
  by: string;
  atMs: number;
  /** Epoch ms; null = until `aether unblock`. */
  untilMs: number | null;
  /** Labels that a node must have; null = every node. */
  nodes: Record<string, string> | null;
}
