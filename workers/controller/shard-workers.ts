/**
 * Who polls `ctl/shard-NNN` for the shards that are ours. What is polled passes a gate: it begins while the shard is ours, and
 * is counted until it has ended. The last poll of a shard outlives our owning it by up to ten seconds (decision 0145); what it
 * brings is refused at once, and the next owner has it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { activityInfo, ApplicationFailure } from '@temporalio/activity';
import type { Logger } from 'pino';
import { pollActivities, type PollerOptions } from '../../adapters/temporal/activity-poller';
import type { Activities } from '../../adapters/temporal/activity-work';
import { shardQueue } from '../../core/model/ids';
import type { ShardReadiness } from './ring-side';

/** The way to Temporal. */
export type ActivityLink = Pick<PollerOptions, 'temporal' | 'namespace'>;

export interface ShardWorkersDependencies {
  identity: string;
  activities: Activities;
  /** Whether an activity of this shard may begin. */
  holds: (shard: number) => boolean;
  /** A shard is polled for no more, or nothing of it runs any more. */
  onChange: () => void;
  /** An activity begins that waited in its queue for so long. */
  onActivity: (waitedMs: number) => void;
  log: Logger;
  signal: AbortSignal;
}

/** For the last polls and what they bring. */
const END_MS = 17_000;
/** What comes before we have the key waits for so long, asking so often. */
const GATE_MS = 3_000;
const GATE_EVERY_MS = 20;
/** Whoever owns the shard now polls already. */
const ELSEWHERE_MS = 100;

export class ShardWorkers implements ShardReadiness {
  readonly #deps: ShardWorkersDependencies;
  /** Of the shards that are polled for: what ends it. */
  readonly #polled = new Map<number, AbortController>();
  /** All that have not ended, also those that poll no more. */
  readonly #pollers = new Set<Promise<void>>();
  readonly #running = new Map<number, number>();
  /** Whose last poll has failed. */
  readonly #failing = new Set<number>();
  #link: ActivityLink | null = null;
  #polling: ReadonlySet<number> = new Set();
  #ahead: ReadonlySet<number> = new Set();

  constructor(dependencies: ShardWorkersDependencies) {
    this.#deps = dependencies;
  }

  connected(link: ActivityLink): void {
    this.#link = link;
    this.set([...this.#polling], [...this.#ahead]);
  }

  /** `polling`: activities are run here; `ahead`: are about to be. */
  set(polling: readonly number[], ahead: readonly number[]): void {
    this.#polling = new Set(polling);
    this.#ahead = new Set(ahead);
    const link = this.#link;
    if (!link || this.#deps.signal.aborted) return;
    const left = [...this.#polled].filter(([shard]) => !this.#polling.has(shard));
    for (const [shard, stop] of left) {
      this.#polled.delete(shard);
      stop.abort();
    }
    for (const shard of polling) {
      if (!this.#polled.has(shard)) this.#polled.set(shard, this.#begin(link, shard));
    }
    if (left.length > 0) this.#deps.onChange();
  }

  ended(shard: number): boolean {
    return !this.#polled.has(shard) && this.running(shard) === 0;
  }

  running(shard: number): number {
    return this.#running.get(shard) ?? 0;
  }

  /** Resolves when all have ended, after the signal, or have had their time for it. */
  async end(): Promise<void> {
    const limit = new AbortController();
    const late = sleep(END_MS, undefined, { signal: limit.signal }).catch(() => undefined);
    await Promise.race([Promise.all(this.#pollers), late]);
    limit.abort();
  }

  #begin(link: ActivityLink, shard: number): AbortController {
    const { identity, signal } = this.#deps;
    const stop = new AbortController();
    const poller = pollActivities({
      ...link,
      identity,
      taskQueue: shardQueue(shard),
      activities: this.#gated(shard),
      onPolled: (error) => this.#told(shard, error),
      stop: AbortSignal.any([stop.signal, signal]),
    }).finally(() => {
      this.#pollers.delete(poller);
      this.#failing.delete(shard);
    });
    this.#pollers.add(poller);
    return stop;
  }

  /** One line where all of them fail for the same reason. */
  #told(shard: number, error: Error | null): void {
    const { log } = this.#deps;
    const failing = this.#failing;
    if (error === null) {
      if (failing.delete(shard) && failing.size === 0)
        log.info({}, 'polls for activities are answered again');
      return;
    }
    if (failing.size === 0)
      log.warn({ err: error, shard }, 'a poll for activities failed; trying again');
    failing.add(shard);
  }

  #gated(shard: number): Activities {
    const { activities, onActivity } = this.#deps;
    const gated = Object.entries(activities).map(([name, run]) => [
      name,
      async (argument: never): Promise<unknown> => {
        onActivity(Math.max(0, Date.now() - activityInfo().currentAttemptScheduledTimestampMs));
        await this.#enter(shard);
        try {
          return await run(argument);
        } finally {
          this.#left(shard);
        }
      },
    ]);
    return Object.fromEntries(gated) as Activities;
  }

  async #enter(shard: number): Promise<void> {
    const { holds, signal } = this.#deps;
    const endsAt = performance.now() + GATE_MS;
    while (!holds(shard)) {
      const ours = this.#polling.has(shard) || this.#ahead.has(shard);
      if (!ours || signal.aborted || performance.now() > endsAt) throw elsewhere(shard);
      await sleep(GATE_EVERY_MS);
    }
    this.#running.set(shard, this.running(shard) + 1);
  }

  #left(shard: number): void {
    const left = this.running(shard) - 1;
    if (left > 0) this.#running.set(shard, left);
    else this.#running.delete(shard);
    if (left === 0) this.#deps.onChange();
  }
}

const elsewhere = (shard: number): ApplicationFailure =>
  ApplicationFailure.create({
    type: 'StaleFence',
    message: `Shard ${shard} is not this controller's now; nothing was done; its owner may do it.`,
    details: [{ code: 'StaleFence', shard, ownerRevision: 0 }],
    nextRetryDelay: ELSEWHERE_MS,
  });
