/**
 * Writes that happen at most once although several members are asked to make them.
 *
 * A hedged write reaches etcd in copies. Comparing revisions alone does not make them safe: when the
 * second copy finds its condition false, the reason may be the first copy, and a copy that was held up
 * may find `absent(key)` true again a second later. So each write also moves a *marker*, a small
 * key of this process alone:
 *
 *     If   marker.modRevision == what we last saw
 *     Then If conditions Then (marker := "yes", changes) Else (marker := "no", read)
 *     Else read marker
 *
 * The first copy to arrive decides and leaves its verdict in the marker; each later one finds the marker
 * moved, changes nothing and reads the same verdict, however late it is. After an unknown outcome
 * the marker is given up, never reused. The markers hang on a lease of a minute: they
 * vanish by themselves, and a copy that comes after that is refused with the lease.
 */
import type { ITxnRequest, ITxnResponse } from 'etcd3';
import { randomBytes } from 'node:crypto';
import { keys } from '../../core/model/keys';
import type { Change, Condition, WriteOutcome } from './port';
import { compareOf, readsOf, requestOf, revisionOf } from './wire';

/** Where one write after the other of this process leaves its verdict. */
export interface Marker {
  readonly key: string;
  /** 0: not written yet. */
  readonly modRevision: number;
}

/** A lease and the markers that hang on it; as many markers as writes were ever under way at once. */
export class MarkerSet {
  static readonly ttlMs = 60_000;
  readonly leaseId = randomLeaseId();
  readonly #prefix: string;
  readonly #free: Marker[] = [];
  #made = 0;

  /** `writer` is for people who look into etcd: whose markers these are. */
  constructor(writer: string) {
    this.#prefix = `${keys.root}writers/${writer}/${this.leaseId}/`;
  }

  take(): Marker {
    return this.#free.pop() ?? { key: `${this.#prefix}${this.#made++}`, modRevision: 0 };
  }

  /** Only after an answer. A marker whose write has an unknown outcome is simply not given back. */
  giveBack(marker: Marker): void {
    this.#free.push(marker);
  }
}

/** Chosen by us, so that a hedged grant is idempotent: the copy hears "lease already exists". */
export const randomLeaseId = (): string =>
  (randomBytes(8).readBigUInt64BE() >> 1n || 1n).toString();

export function onceRequest(
  marker: Marker,
  leaseId: string,
  conditions: readonly Condition[],
  changes: readonly Change[],
): ITxnRequest {
  const mark = (value: 'yes' | 'no') => requestOf({ op: 'put', key: marker.key, value, leaseId });
  const reads = [...new Set(conditions.map((c) => c.key))].map((key) => ({
    request_range: { key: Buffer.from(key) },
  }));
  const decide: ITxnRequest = {
    compare: conditions.map(compareOf),
    success: [mark('yes'), ...changes.map(requestOf)],
    failure: [mark('no'), ...reads],
  };
  return {
    compare: [compareOf({ ...marker, field: 'modRevision', equals: marker.modRevision })],
    success: [{ request_txn: decide }],
    failure: [{ request_range: { key: Buffer.from(marker.key) } }, ...reads],
  };
}

/** What any copy's answer says about the write, or null: the marker is gone with its lease. */
export function onceOutcome(
  marker: Marker,
  response: ITxnResponse,
): { marker: Marker; outcome: WriteOutcome } | null {
  const decided = response.succeeded ? response.responses[0]?.response_txn : undefined;
  if (decided) {
    const revision = revisionOf(response.header.revision);
    return {
      marker: { ...marker, modRevision: revision },
      outcome: decided.succeeded
        ? { committed: true, revision }
        : { committed: false, found: readsOf(decided) },
    };
  }
  const reads = readsOf(response);
  const moved = reads.find((kv) => kv.key === marker.key);
  if (!moved) return null;
  return {
    marker: { ...marker, modRevision: moved.modRevision },
    outcome:
      moved.value.toString() === 'yes'
        ? { committed: true, revision: moved.modRevision }
        : { committed: false, found: reads.filter((kv) => kv !== moved) },
  };
}
