/**
 * The words in which the rest of Aether speaks with etcd. No type of a client library appears here.
 * Revisions are numbers: they grow by one a transaction, so 2^53 of them last for ever, and the
 * boundary (`wire.ts`) refuses what is not a safe integer.
 */

export interface KeyValue {
  readonly key: string;
  readonly value: Buffer;
  /** Revision at which the key was made; never given twice, so it serves as a fencing token. */
  readonly createRevision: number;
  readonly modRevision: number;
  /** Number of writes since it was made, from 1. */
  readonly version: number;
  /** The lease the key ends with, decimal; null for none. */
  readonly leaseId: string | null;
}

/** One key, or all keys that begin with `prefix`. */
export type KeyRange = { readonly key: string } | { readonly prefix: string };

export interface Listing {
  /** The store's revision at which all of `entries` was true together. */
  readonly revision: number;
  /** In the order of their keys. */
  readonly entries: readonly KeyValue[];
}

/** What a transaction demands; 0 means "there is no such key", for either field. */
export interface Condition {
  readonly key: string;
  readonly field: 'createRevision' | 'modRevision';
  readonly equals: number;
}

export const absent = (key: string): Condition => ({ key, field: 'createRevision', equals: 0 });

/** The key is as it was when read; `modRevision` 0: it does not exist. */
export const unchanged = (key: string, modRevision: number): Condition => ({
  key,
  field: 'modRevision',
  equals: modRevision,
});

/** etcd takes no key twice in a transaction, and at most 128 changes (`--max-txn-ops`). */
export type Change =
  | {
      readonly op: 'put';
      readonly key: string;
      readonly value: string | Buffer;
      readonly leaseId?: string;
    }
  | { readonly op: 'delete'; readonly key: string };

/** A refused transaction is an answer, not an error: somebody else was first. */
export type WriteOutcome =
  | { readonly committed: true; readonly revision: number }
  | {
      readonly committed: false;
      /** Those keys of the conditions that exist now. */
      readonly found: readonly KeyValue[];
    };

/**
 * What a watch delivers. It is level-triggered: a put may be repeated, a snapshot replaces all that
 * was known before (a key that is not in it is gone).
 */
export type WatchItem =
  | { readonly kind: 'snapshot'; readonly revision: number; readonly entries: readonly KeyValue[] }
  | { readonly kind: 'put'; readonly entry: KeyValue }
  | { readonly kind: 'delete'; readonly key: string; readonly modRevision: number }
  /**
   * All up to `revision` has been delivered. Comes about once a second while etcd is in reach: whoever
   * must know how old his picture is remembers when the last one came.
   */
  | { readonly kind: 'synced'; readonly revision: number };
