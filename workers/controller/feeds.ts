/**
 * Refreshes of feeds: fetch, judge (core/filter), write. Whatever goes wrong, the list that was
 * believed last stands, and `feeds/<name>` says what was wrong.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { BlocklistPort } from '../../activities/blocklists';
import { type Fetched, fetchFeed } from '../../adapters/feed/fetch';
import type { EtcdClient } from '../../adapters/etcd/client';
import { type Change, unchanged } from '../../adapters/etcd/port';
import type { FeedTask } from '../../core/filter/feed-refresh';
import type { BlobRef, FeedSpec } from '../../core/model/blocklist';
import type { Keyed, Stored } from '../../core/model/compile';
import { keys } from '../../core/model/keys';
import { peersOf } from '../../core/model/peers';
import {
  type BlocklistValue,
  type FeedValue,
  parseBlocklistValue,
  parseFeedValue,
  valueText,
} from '../../core/model/values';
import type { FeedOutcome } from '../../core/model/views';
import { shardOf } from '../../core/ring/shard';
import { type Blobs, permanent } from './blobs';
import { type DesiredState, readKey } from './desired';
import { inThread } from './in-thread';
import { ownAddresses } from './own-addresses';
import type { Shards } from './shards';

export interface FeedsDependencies {
  etcd: EtcdClient;
  blobs: Blobs;
  desired: DesiredState;
  shards: Shards;
  log: Logger;
  onOutcome: (outcome: FeedOutcome['outcome']) => void;
}

const FETCH_TIMEOUT_MS = 60_000;
/** A server that hiccups is asked again; one that is down, at the next refresh. */
const FETCH_PAUSES_MS = [1_000, 3_000];
/** Somebody applied the list meanwhile: begun anew, with what it is now. */
const ATTEMPTS = 5;

/** Refreshes that pass without a try until somebody has to look why. */
const OVERDUE = 3;

export const isOverdue = (feed: FeedSpec, state: FeedValue | null, nowMs: number): boolean =>
  nowMs - (state?.lastTryAtMs ?? 0) > OVERDUE * feed.refreshMs;

/** What a refresh is about, as etcd has it now. */
interface Subject {
  name: string;
  list: Stored<BlocklistValue>;
  feed: FeedSpec;
  state: Keyed<FeedValue>;
  /** Of this very place: one that was believed at another URL says nothing about this one. */
  lastGood: BlobRef | null;
  /** Of `lastGood`, where the same bytes would be read as the same list. */
  etag: string | null;
}

const GONE: FeedOutcome = {
  outcome: 'gone',
  problem: null,
  count: 0,
  added: 0,
  removed: 0,
  sha256: null,
  notes: [],
};

export class Feeds implements BlocklistPort {
  constructor(private readonly deps: FeedsDependencies) {}

  async refresh(name: string, ended: AbortSignal): Promise<FeedOutcome> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const subject = await this.subject(name);
      const outcome = subject === null ? GONE : await this.attempt(subject, ended);
      if (outcome === null) continue;
      this.deps.onOutcome(outcome.outcome);
      const level = outcome.outcome === 'kept' ? 'warn' : 'info';
      this.deps.log[level]({ blocklist: name, ...outcome }, 'feed refreshed');
      return outcome;
    }
    throw new Error(`blocklist ${name} was changed ${ATTEMPTS} times while it was refreshed`);
  }

  private async subject(name: string): Promise<Subject | null> {
    const { etcd } = this.deps;
    const list = readKey(await etcd.get(keys.blocklist(name)), parseBlocklistValue);
    const feed = list?.value.resource.spec.feed ?? null;
    if (list === null || feed === null) return null;
    const state = readKey(await etcd.get(keys.feed(name)), parseFeedValue);
    const lastGood = state?.value.url === feed.url ? state.value.list : null;
    // Applied since: column, format or limits may be other ones, and "not modified" would hide that.
    const etag = state === null || list.revision > state.revision ? null : state.value.etag;
    return { name, list, feed, state, lastGood, etag };
  }

  /** Null where the blocklist was changed meanwhile. */
  private async attempt(subject: Subject, ended: AbortSignal): Promise<FeedOutcome | null> {
    const { lastGood } = subject;
    // Where a piece of it is lost, nothing is known of it but its name.
    const joined = lastGood === null ? null : await this.deps.blobs.packed(lastGood);
    const present = joined?.ok ? joined.blob : null;
    // Without the list itself, "not modified" would be no answer.
    const etag = present === null ? null : subject.etag;
    const fetched = await this.fetch(subject.feed, etag, ended);
    switch (fetched.kind) {
      case 'failed':
        return this.keep(subject, fetched.message, []);
      case 'unchanged':
        return this.confirm(subject);
      case 'bytes':
        return this.judge(subject, fetched, present, ended);
    }
  }

  private async fetch(feed: FeedSpec, etag: string | null, ended: AbortSignal): Promise<Fetched> {
    const { url, maxBytes } = feed;
    const request = { url, etag, maxBytes, timeoutMs: FETCH_TIMEOUT_MS, signal: ended };
    let fetched = await fetchFeed(request);
    for (const pauseMs of FETCH_PAUSES_MS) {
      if (fetched.kind !== 'failed' || !fetched.mayPass) return fetched;
      await sleep(pauseMs, undefined, { signal: ended });
      fetched = await fetchFeed(request);
    }
    return fetched;
  }

  private async judge(
    subject: Subject,
    { bytes, etag }: Extract<Fetched, { kind: 'bytes' }>,
    lastGood: Uint8Array | null,
    ended: AbortSignal,
  ): Promise<FeedOutcome | null> {
    const { list, feed, state } = subject;
    const { entries, nodes } = list.value.resource.spec;
    const task: FeedTask = {
      bytes,
      feed,
      lastGood,
      inline: permanent(entries),
      failsafe: this.failsafes(nodes),
    };
    const result = await inThread('refreshFeed', task, ended);
    if (!result.believed) return this.keep(subject, result.problem, result.notes);
    // Pieces that can't be relied on to be there are all written again.
    const kept = lastGood === null ? [] : [list.value.blob, state?.value.list ?? null];
    await this.deps.blobs.save(result.list, kept);
    if (result.whole !== result.list) await this.deps.blobs.save(result.whole, kept);
    const nowMs = Date.now();
    const written = await this.write(subject, result.whole.ref, {
      url: feed.url,
      list: result.list.ref,
      etag,
      lastGoodAtMs: nowMs,
      lastTryAtMs: nowMs,
      problem: null,
      notes: result.notes,
    });
    if (!written) return null;
    const { sha256, count } = result.list.ref;
    const { added, removed, notes } = result;
    const outcome = sha256 === subject.lastGood?.sha256 ? 'unchanged' : 'updated';
    return { outcome, problem: null, count, added, removed, sha256, notes };
  }

  /** The list before it stands. */
  private async keep(subject: Subject, problem: string, notes: string[]) {
    const { state, feed } = subject;
    const former = state?.value;
    const list = former?.list ?? null;
    const written = await this.write(subject, subject.list.value.blob, {
      // Where `list` came from: still from there, until the new place is believed once.
      url: list === null ? feed.url : (former?.url ?? feed.url),
      list,
      etag: subject.etag,
      lastGoodAtMs: former?.lastGoodAtMs ?? null,
      lastTryAtMs: Date.now(),
      problem,
      notes,
    });
    if (!written) return null;
    const { count, sha256 } = list ?? { count: 0, sha256: null };
    return { outcome: 'kept' as const, problem, count, added: 0, removed: 0, sha256, notes };
  }

  /** The server says that it is as it was. */
  private async confirm(subject: Subject): Promise<FeedOutcome | null> {
    const { state, list, lastGood } = subject;
    if (state === null || lastGood === null) throw new Error('unchanged, but since when?');
    const nowMs = Date.now();
    // Notes of a try that was not believed are about other bytes.
    const notes = state.value.problem === null ? state.value.notes : [];
    const tried = { lastGoodAtMs: nowMs, lastTryAtMs: nowMs, problem: null, notes };
    const next = { ...state.value, ...tried };
    if (!(await this.write(subject, list.value.blob, next))) return null;
    const { count, sha256 } = lastGood;
    return { outcome: 'unchanged', problem: null, count, added: 0, removed: 0, sha256, notes };
  }

  /** Under the shard, and only if the blocklist is what this refresh began with. */
  private async write(
    { name, list, state }: Subject,
    blob: BlobRef | null,
    next: FeedValue,
  ): Promise<boolean> {
    const { resource } = list.value;
    const changes: Change[] = [{ op: 'put', key: keys.feed(name), value: valueText(next) }];
    // An unchanged list must not move the specs of its nodes.
    if (blob?.sha256 !== list.value.blob?.sha256) {
      const value = valueText({ resource, blob });
      changes.push({ op: 'put', key: keys.blocklist(name), value });
    }
    const conditions = [
      unchanged(keys.blocklist(name), list.revision),
      unchanged(keys.feed(name), state?.revision ?? 0),
    ];
    return (await this.deps.shards.write(shardOf(name), conditions, changes)).committed;
  }

  private failsafes(selector: Record<string, string>): string[] {
    const { desired } = this.deps;
    const specs = desired
      .selected(selector)
      .flatMap((node) => desired.inputs(node).node?.value.resource.spec ?? []);
    const ofFilters = specs.flatMap(({ filters }) => filters.flatMap(({ failsafe }) => failsafe));
    const peers = specs.flatMap(peersOf).map(({ prefix }) => prefix);
    return [...new Set([...ofFilters, ...peers, ...ownAddresses()])];
  }
}
