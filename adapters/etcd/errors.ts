import type { KeyValue } from './port';

/**
 * Why etcd did not do it. `changed`: false = nothing was changed, and nothing will be; null = unknown,
 * the write may have taken effect or may still do so within a minute (`once.ts`): read before
 * deciding anew.
 */
export type EtcdFailure =
  | {
      readonly code: 'unavailable';
      readonly operation: string;
      readonly waitedMs: number;
      /** The last word of each member that was asked. */
      readonly members: readonly { readonly endpoint: string; readonly said: string }[];
      readonly changed: false | null;
    }
  /** The history before some revision is gone; list again. */
  | { readonly code: 'compacted'; readonly operation: string; readonly changed: false }
  | { readonly code: 'leaseNotFound'; readonly operation: string; readonly changed: false | null }
  /** The key that made us owner is gone or somebody else's; `found` null: gone. */
  | {
      readonly code: 'fenced';
      readonly key: string;
      readonly token: number;
      readonly found: KeyValue | null;
      readonly changed: false;
    }
  /** Our own guard has ended, etcd was not even asked. */
  | { readonly code: 'leaseEnded'; readonly key: string; readonly changed: false }
  /** Not permitted, malformed, too large …: asking again cannot help. */
  | {
      readonly code: 'refused';
      readonly operation: string;
      readonly said: string;
      readonly changed: false | null;
    };

export class EtcdError extends Error {
  override readonly name = 'EtcdError';
  constructor(readonly failure: EtcdFailure) {
    super(describe(failure));
  }
}

function describe(failure: EtcdFailure): string {
  const effect =
    failure.changed === false
      ? 'nothing was changed'
      : 'it is unknown whether it was written, so read before writing again';
  switch (failure.code) {
    case 'unavailable': {
      const waited = `no answer to ${failure.operation} in ${Math.round(failure.waitedMs)} ms`;
      const members = failure.members.map((m) => `${m.endpoint}: ${m.said}`).join('; ');
      return `etcd: ${waited} (${members}); ${effect}; is a majority of the members up?`;
    }
    case 'compacted':
      return `etcd: ${failure.operation}: that revision is compacted; ${effect}; list again`;
    case 'leaseNotFound':
      return `etcd: ${failure.operation}: the lease is gone; ${effect}; get a new lease`;
    case 'fenced': {
      const now = failure.found ? `now ${failure.found.createRevision}` : 'the key is gone';
      const lost = `${failure.key} is no longer held with token ${failure.token} (${now})`;
      return `etcd: ${lost}; ${effect}; stop acting as its owner`;
    }
    case 'leaseEnded':
      return `etcd: the lease behind ${failure.key} has ended; ${effect}; claim it anew`;
    case 'refused':
      return `etcd refused ${failure.operation}: ${failure.said}; ${effect}`;
  }
}

/** What one attempt's error means for the whole operation. */
export type Verdict =
  /** Ask another member; `sent` false: this attempt certainly changed nothing. */
  | { readonly retry: true; readonly sent: boolean }
  | { readonly retry: false; readonly code: 'compacted' | 'leaseNotFound' | 'refused' };

/**
 * Codes of gRPC that another attempt may cure (grpc/grpc, doc/statuscodes.md). Not 8, "resource
 * exhausted", by which etcd means a full database or too large a request; but see below.
 */
const transient = new Set([1, 2, 4, 10, 13, 14]);

/** Messages of failures that come before the request is proposed (etcd's rpctypes, grpc-js). */
const beforeProposal =
  /No connection established|ECONNREFUSED|Channel closed|before call started|etcdserver: no leader/;

/** What gRPC said, for people. */
export const wordsOf = (error: unknown): string =>
  String((error as { details?: unknown }).details ?? error);

/** Judges an error of grpc-js (`{code, details}`); null for any other, which is a defect. */
export function judge(error: unknown): Verdict | null {
  const { code } = error as { code?: unknown };
  if (typeof code !== 'number') return null;
  const said = wordsOf(error);
  if (said.includes('has been compacted')) return { retry: false, code: 'compacted' };
  if (said.includes('lease not found')) return { retry: false, code: 'leaseNotFound' };
  if (said.includes('too many requests')) return { retry: true, sent: false };
  if (transient.has(code)) return { retry: true, sent: !beforeProposal.test(said) };
  return { retry: false, code: 'refused' };
}
