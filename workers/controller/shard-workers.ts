/**
 * The Workers of `ctl/shard-NNN`: made ahead for shards that are about to be ours, polling for those that are. What
 * reaches one passes a gate: it begins while the shard is ours, and is counted until it has ended.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { activityInfo, ApplicationFailure } from '@temporalio/activity';
import type { Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createShardWorker } from '../../adapters/temporal/workers';
import type { RenewableLink } from '../../adapters/temporal/connection';
import type { ShardReadiness } from './ring-side';

export type Activities = Record<string, (argument: never) => Promise<unknown>>;

export interface ShardWorkersDependencies {
  identity: string;
  activities: Activities;
  /** Whether an activity of this shard may begin. */
  holds: (shard: number) => boolean;
  /** Whether there is anything that could run for this shard. */
  serves: (shard: number) => boolean;
  /** One of them is ready, or has ended. */
  onChange: () => void;
  /** An activity begins that waited in its queue for so long. */
  onActivity: (waitedMs: number) => void;
  log: Logger;
  signal: AbortSignal;
}

const RETRY_MS = 1_000;
/** What comes before we have the key waits for so long, asking so often. */
const GATE_MS = 3_000;
const GATE_EVERY_MS = 20;
/** Whoever owns the shard now polls already. */
const ELSEWHERE_MS = 100;

interface Entry {
  readonly stop: AbortController;
  readonly run: Promise<void>;
  readonly start: () => void;
  polls: boolean;
  ready: boolean;
  ended: Promise<void>;
}

export class ShardWorkers implements ShardReadiness {
  readonly #deps: ShardWorkersDependencies;
  readonly #entries = new Map<number, Entry>();
  /** Stopped, and not ended yet. */
  readonly #ending = new Map<number, Promise<void>>();
  readonly #running = new Map<number, number>();
  #link: RenewableLink | null = null;
  #polling: ReadonlySet<number> = new Set();
  #ahead: ReadonlySet<number> = new Set();

  constructor(dependencies: ShardWorkersDependencies) {
    this.#deps = dependencies;
  }

  connected(link: RenewableLink): void {
    this.#link = link;
    this.set([...this.#polling], [...this.#ahead]);
  }

  /**
   * `polling`: activities are run here; `ahead`: are about to be. One that polls and shall not, for now, is made anew: it
   * would take from the queue what somebody else may own by now, and refuse it.
   */
  set(polling: readonly number[], ahead: readonly number[]): void {
    this.#polling = new Set(polling);
    this.#ahead = new Set(ahead);
    const link = this.#link;
    if (!link || this.#deps.signal.aborted) return;
    for (const [shard, { stop, polls }] of this.#entries) {
      if (this.#polling.has(shard) || (this.#ahead.has(shard) && !polls)) continue;
      this.#entries.delete(shard);
      stop.abort();
    }
    for (const shard of [...polling, ...ahead]) {
      if (!this.#entries.has(shard)) this.#entries.set(shard, this.#entry(link, shard));
      if (this.#polling.has(shard)) this.#entries.get(shard)?.start();
    }
  }

  ready(shard: number): boolean {
    if (this.#link === null || !this.#deps.serves(shard)) return true;
    // Also of one that is about to be ours, and `set` has not said so yet.
    return this.#entries.get(shard)?.ready ?? false;
  }

  ended(shard: number): boolean {
    return !this.#entries.has(shard) && !this.#ending.has(shard) && this.running(shard) === 0;
  }

  running(shard: number): number {
    return this.#running.get(shard) ?? 0;
  }

  /** Resolves when all have ended, after the signal. */
  async end(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ ended }) => ended));
    await Promise.all(this.#ending.values());
  }

  #entry(link: RenewableLink, shard: number): Entry {
    const stop = new AbortController();
    let begin = (): void => undefined;
    const run = new Promise<void>((resolve) => (begin = resolve));
    const start = (): void => {
      entry.polls = true;
      begin();
    };
    const ended = Promise.resolve();
    const entry: Entry = { stop, run, start, polls: false, ready: false, ended };
    const before = this.#ending.get(shard) ?? Promise.resolve();
    entry.ended = before.then(() => this.#keepRunning(link, shard, entry));
    stop.signal.addEventListener(
      'abort',
      () => {
        const ended = entry.ended.then(() => {
          if (this.#ending.get(shard) === ended) this.#ending.delete(shard);
          this.#deps.onChange();
        });
        this.#ending.set(shard, ended);
      },
      { once: true },
    );
    return entry;
  }

  /** A Worker under supervision: one that ends by an error is made anew. */
  async #keepRunning(link: RenewableLink, shard: number, entry: Entry): Promise<void> {
    const { identity, signal, log } = this.#deps;
    const ended = AbortSignal.any([entry.stop.signal, signal]);
    while (!ended.aborted) {
      try {
        const worker = await createShardWorker(link, identity, shard, this.#gated(shard));
        entry.ready = true;
        this.#deps.onChange();
        await Promise.race([entry.run, aborted(ended)]);
        // One that never ran has to be run to be ended.
        await runWorker(link, worker, ended);
      } catch (error) {
        log.error({ err: error, worker: `shard ${shard}` }, 'a Worker ended; making it anew');
      }
      entry.ready = false;
      if (!ended.aborted)
        await sleep(RETRY_MS, undefined, { signal: ended }).catch(() => undefined);
    }
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
    const { holds } = this.#deps;
    const endsAt = performance.now() + GATE_MS;
    while (!holds(shard)) {
      const ours = this.#polling.has(shard) || this.#ahead.has(shard);
      if (!ours || performance.now() > endsAt) throw elsewhere(shard);
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

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Until it fails, or `ended`: then it takes no more, and what it runs ends first. */
export async function runWorker(
  link: RenewableLink,
  worker: Worker,
  ended: AbortSignal,
): Promise<void> {
  const stop = (): void => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  ended.addEventListener('abort', stop, { once: true });
  try {
    const running = link.run(worker);
    if (ended.aborted) stop();
    await running;
  } finally {
    ended.removeEventListener('abort', stop);
  }
}
