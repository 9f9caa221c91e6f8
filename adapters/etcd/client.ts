/** Reads and writes of etcd over all of its members. */
import type { IRangeRequest, IRangeResponse, ITxnResponse } from 'etcd3';
import { keys } from '../../core/model/keys';
import { plainWords } from '../grpc/service';
import { Endpoint, type EtcdTls } from './endpoint';
import { EtcdError, judge, wordsOf } from './errors';
import { hedge, NoAnswer } from './hedge';
import { MarkerSet, onceOutcome, onceRequest } from './once';
import type { Change, Condition, KeyRange, KeyValue, Listing, WriteOutcome } from './port';
import { boundsOf, keyValueOf, revisionOf } from './wire';

export interface EtcdClientOptions {
  /** `http://host:port` of each member, `https://` with `tls`. */
  readonly endpoints: readonly string[];
  /** Who writes: shows in the keys of the markers (`once.ts`) and in the heartbeat. */
  readonly writer: string;
  readonly tls?: EtcdTls;
  /** Monotonic, ms. */
  readonly now?: () => number;
}

/** All processes of a cluster move the same one; whose turn it is: see `stream.ts`. */
export const heartbeatKey = keys.heartbeat('watches');

/** Long enough for an election at 50/250 ms and a second one right after. */
export const defaultTotalMs = 5000;

/** Keys a page; a listing of 10,000 nodes is 20 short answers, none near the deadline of an attempt. */
const pageSize = 500;

export class EtcdClient {
  readonly endpoints: readonly Endpoint[];
  readonly writer: string;
  readonly now: () => number;
  /** The member that answered last: asked first next time. */
  #preferred = 0;
  #markers: { set: Promise<MarkerSet>; madeAtMs: number } | undefined;

  constructor({ endpoints, writer, tls, now = () => performance.now() }: EtcdClientOptions) {
    if (endpoints.length === 0) throw new RangeError('etcd: no endpoint given');
    this.endpoints = endpoints.map((url) => new Endpoint(url, tls));
    this.writer = writer;
    this.now = now;
  }

  /** Why the last question was not answered, and the last watch not opened; null: it was. */
  problem: string | null = null;

  get preferred(): number {
    return this.#preferred;
  }

  endpoint(member: number): Endpoint {
    const endpoint = this.endpoints[member];
    if (!endpoint) throw new RangeError(`etcd: no member ${member}`);
    return endpoint;
  }

  /** Linearizable. */
  async get(key: string, totalMs = defaultTotalMs): Promise<KeyValue | null> {
    const { entries } = await this.list({ key }, totalMs);
    return entries[0] ?? null;
  }

  /**
   * Linearizable, and all of one revision, however many pages it takes. For values of some KiB; where
   * they may be larger, a page would not come within an attempt's deadline: get them one by one.
   */
  async list(range: KeyRange, totalMs = defaultTotalMs): Promise<Listing> {
    const endsAt = this.now() + totalMs;
    const bounds = boundsOf(range);
    const entries: KeyValue[] = [];
    let revision = 0;
    let page: IRangeResponse;
    let from = bounds.key;
    do {
      const request: IRangeRequest = { ...bounds, key: from, limit: pageSize, revision };
      page = await this.#ask('list', endsAt - this.now(), (endpoint, deadline) =>
        endpoint.kv.range(request, { deadline }),
      );
      revision ||= revisionOf(page.header.revision);
      entries.push(...page.kvs.map(keyValueOf));
      from = Buffer.concat([page.kvs.at(-1)?.key ?? from, Buffer.from([0])]);
    } while (page.more);
    return { revision, entries };
  }

  /** Mod revisions of all keys that begin with `prefix`, without their values. */
  async revisions(prefix: string, totalMs = defaultTotalMs): Promise<Map<string, number>> {
    const request: IRangeRequest = { ...boundsOf({ prefix }), keys_only: true };
    const { kvs } = await this.#ask('list', totalMs, (endpoint, deadline) =>
      endpoint.kv.range(request, { deadline }),
    );
    return new Map(kvs.map(keyValueOf).map(({ key, modRevision }) => [key, modRevision]));
  }

  /**
   * All of `changes` if all of `conditions` hold, else nothing; at most once, although several
   * members may be asked.
   * @throws {EtcdError} `unavailable` with `changed: null`: it may or may not have happened
   */
  async write(
    conditions: readonly Condition[],
    changes: readonly Change[],
    totalMs = defaultTotalMs,
  ): Promise<WriteOutcome> {
    const endsAt = this.now() + totalMs;
    const markers = await this.#markersWithin(totalMs);
    const marker = markers.take();
    const request = onceRequest(marker, markers.leaseId, conditions, changes);
    let response: ITxnResponse;
    try {
      response = await this.#ask('write', endsAt - this.now(), (endpoint, deadline) =>
        endpoint.kv.txn(request, { deadline }),
      );
    } catch (error) {
      const lost = error instanceof EtcdError && error.failure.code === 'leaseNotFound';
      if (lost) this.#markers = undefined;
      const oursAlone = changes.every((change) => change.op === 'delete' || !change.leaseId);
      if (!lost || error.failure.changed === null || !oursAlone) throw error;
      // The markers' lease ran out, as happens while a virtual machine is suspended.
      return this.write(conditions, changes, endsAt - this.now());
    }
    const verdict = onceOutcome(marker, response);
    if (!verdict) {
      throw new EtcdError({ code: 'leaseNotFound', operation: 'write', changed: null });
    }
    markers.giveBack(verdict.marker);
    return verdict.outcome;
  }

  /** Grants a lease; returns what etcd made of the TTL, which may be longer than asked. */
  async grantLease(leaseId: string, ttlMs: number, totalMs = defaultTotalMs): Promise<number> {
    const request = { ID: leaseId, TTL: Math.ceil(ttlMs / 1000) };
    const seconds = await this.#ask('grant lease', totalMs, async (endpoint, deadline) => {
      try {
        return (await endpoint.lease.leaseGrant(request, { deadline })).TTL;
      } catch (error) {
        if (!String(error).includes('lease already exists')) throw error;
        return request.TTL; // by an earlier copy of this request; at least what was asked
      }
    });
    return Number(seconds) * 1000;
  }

  /**
   * Prolongs a lease. `sentAtMs`: when the request that was answered left, by `now()`; `ttlMs` 0: the
   * lease is gone.
   */
  async keepAlive(leaseId: string, totalMs: number): Promise<{ sentAtMs: number; ttlMs: number }> {
    return this.#ask('keep lease', totalMs, async (endpoint, deadline) => {
      const stream = await endpoint.lease.leaseKeepAlive({ deadline });
      return new Promise((resolve, reject) => {
        const sentAtMs = this.now();
        stream.on('error', reject);
        stream.on('data', (answer) => {
          stream.end();
          resolve({ sentAtMs, ttlMs: Number(answer.TTL) * 1000 });
        });
        stream.write({ ID: leaseId });
      });
    });
  }

  /** Ends a lease and all keys on it; that it is gone already is a success. */
  async revokeLease(leaseId: string, totalMs = defaultTotalMs): Promise<void> {
    try {
      await this.#ask('revoke lease', totalMs, (endpoint, deadline) =>
        endpoint.lease.leaseRevoke({ ID: leaseId }, { deadline }),
      );
    } catch (error) {
      if (!(error instanceof EtcdError && error.failure.code === 'leaseNotFound')) throw error;
    }
  }

  /**
   * How long a lease would live without another keepalive, in whole seconds as etcd tells it, rounded down, and
   * what it was granted; null: it is gone.
   */
  async leaseTimeToLive(
    leaseId: string,
    totalMs = defaultTotalMs,
  ): Promise<{ remainingMs: number; grantedMs: number } | null> {
    const answer = await this.#ask('list', totalMs, (endpoint, deadline) =>
      endpoint.lease.leaseTimeToLive({ ID: leaseId }, { deadline }),
    );
    const remaining = Number(answer.TTL);
    if (remaining < 0) return null;
    return { remainingMs: remaining * 1000, grantedMs: Number(answer.grantedTTL) * 1000 };
  }

  /** Moves the heartbeat key. The one write without a condition: any order, any number is right. */
  async beat(totalMs: number): Promise<void> {
    const request = { key: Buffer.from(heartbeatKey), value: Buffer.from(this.writer) };
    await this.#ask('heartbeat', totalMs, (endpoint, deadline) =>
      endpoint.kv.put(request, { deadline }),
    );
  }

  close(): void {
    for (const endpoint of this.endpoints) endpoint.close();
  }

  /** Without a marker nothing is written, whatever became of its lease. */
  async #markersWithin(totalMs: number): Promise<MarkerSet> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const failure = { code: 'unavailable', operation: 'write', waitedMs: totalMs } as const;
      const members = this.endpoints.map(({ url }) => ({ endpoint: url, said: 'silent' }));
      const tell = () => reject(new EtcdError({ ...failure, members, changed: false }));
      timer = setTimeout(tell, totalMs);
    });
    try {
      return await Promise.race([this.#currentMarkers(), late]);
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      throw new EtcdError({ ...error.failure, changed: false });
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * A new set at half of the lease's life, so that none ends under a write. Several wait for it: its grant has a time of its
   * own, not that of whoever came first.
   */
  #currentMarkers(): Promise<MarkerSet> {
    const now = this.now();
    if (this.#markers && now - this.#markers.madeAtMs < MarkerSet.ttlMs / 2) {
      return this.#markers.set;
    }
    const set = new MarkerSet(this.writer);
    const granted = this.grantLease(set.leaseId, MarkerSet.ttlMs).then(() => set);
    const entry = { set: granted, madeAtMs: now };
    this.#markers = entry;
    granted.catch(() => {
      if (this.#markers === entry) this.#markers = undefined;
    });
    return granted;
  }

  async #ask<T>(
    operation: string,
    totalMs: number,
    attempt: (endpoint: Endpoint, deadline: number) => Promise<T>,
  ): Promise<T> {
    const startedAt = this.now();
    let underWay = 0;
    let maybeDone = false;
    const run = async (target: number, deadlineMs: number): Promise<T> => {
      underWay++;
      try {
        return await attempt(this.endpoint(target), Date.now() + deadlineMs);
      } catch (error) {
        const verdict = judge(error);
        if (verdict?.retry && verdict.sent) maybeDone = true;
        throw error;
      } finally {
        underWay--;
      }
    };
    const isFinal = (error: unknown): boolean => !judge(error)?.retry;
    try {
      const answer = await hedge(this.endpoints.length, this.#preferred, totalMs, run, isFinal);
      this.#preferred = answer.target;
      this.problem = null;
      return answer.value;
    } catch (error) {
      const changed = operation !== 'list' && (maybeDone || underWay > 0) ? null : false;
      throw this.#translate(error, operation, this.now() - startedAt, changed);
    }
  }

  #translate(error: unknown, operation: string, waitedMs: number, changed: false | null): unknown {
    if (error instanceof NoAnswer) {
      const members = this.endpoints.map(({ url }, i) => ({
        endpoint: url,
        said: error.errors[i] === undefined ? 'silent' : wordsOf(error.errors[i]),
      }));
      this.problem = members
        .map(({ endpoint, said }) => `${endpoint}: ${plainWords(said)}`)
        .join('; ');
      return new EtcdError({ code: 'unavailable', operation, waitedMs, members, changed });
    }
    const verdict = judge(error);
    if (!verdict || verdict.retry) return error;
    const { code } = verdict;
    if (code === 'compacted') return new EtcdError({ code, operation, changed: false });
    if (code === 'leaseNotFound') return new EtcdError({ code, operation, changed });
    return new EtcdError({ code, operation, said: wordsOf(error), changed });
  }
}
