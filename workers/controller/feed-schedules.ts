/**
 * Keeps the Schedules of feeds in line with the blocklists of our shards: level-triggered, so that
 * whatever was missed is made up for at the next look.
 */
import type { Client } from '@temporalio/client';
import { deleteFeedSchedule, ensureFeedSchedule } from '../../adapters/temporal/schedules';
import { shardOf } from '../../core/ring/shard';
import type { DesiredState } from './desired';
import type { Handoff } from './handoff';

export interface FeedSchedulesDependencies {
  desired: DesiredState;
  owns: (shard: number) => boolean;
  handoff: Handoff;
  client: () => Promise<Client>;
}

export class FeedSchedules {
  readonly #deps: FeedSchedulesDependencies;
  /** By blocklist: what its Schedule was last asked to be; null = it is not known to be right. */
  readonly #asked = new Map<string, string | null>();

  constructor(dependencies: FeedSchedulesDependencies) {
    this.#deps = dependencies;
  }

  /** There are Schedules of these, made by whomever. */
  found(blocklists: readonly string[]): void {
    for (const name of blocklists) if (!this.#asked.has(name)) this.#asked.set(name, null);
  }

  check(): void {
    const { desired, owns } = this.#deps;
    const names = new Set([...desired.feedNames(), ...this.#asked.keys()]);
    for (const name of names) {
      if (owns(shardOf(name))) this.#ask(name);
      else if (this.#asked.has(name)) this.#leave(name);
    }
  }

  /** It is its owner's to ask now, who may have changed it when it comes back to us. */
  #leave(name: string): void {
    this.#asked.set(name, null);
    this.#deps.handoff.cancel(`feed/${name}`);
  }

  #ask(name: string): void {
    const { desired, handoff, client } = this.#deps;
    const feed = desired.blocklist(name)?.value.resource.spec.feed ?? null;
    const id = feed === null ? 'none' : `${feed.refreshMs} ${feed.url}`;
    if (this.#asked.get(name) === id) return;
    this.#asked.set(name, id);
    const send = async (): Promise<void> => {
      if (feed === null) return deleteFeedSchedule(await client(), name);
      // What was never loaded from there is not waited for.
      const fresh = desired.feed(name)?.value.url !== feed.url;
      return ensureFeedSchedule(await client(), name, feed.refreshMs, fresh);
    };
    const done = (): void => {
      if (feed === null && this.#asked.get(name) === id) this.#asked.delete(name);
    };
    handoff.submit(`feed/${name}`, { id, send, done });
  }
}
