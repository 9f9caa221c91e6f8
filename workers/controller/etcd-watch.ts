/** The one list-watch of a controller: everything it knows of etcd comes this way. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import type { WatchItem } from '../../adapters/etcd/port';
import { listWatch } from '../../adapters/etcd/watch';
import { keys } from '../../core/model/keys';
import { Problems } from './problems';

export interface EtcdWatchDependencies {
  etcd: EtcdClient;
  heard: (item: WatchItem) => void;
  /** Keys whose value can't be read, and why. */
  problems: readonly ReadonlyMap<string, string>[];
  log: Logger;
  signal: AbortSignal;
}

/** The picture of etcd counts as fresh for so long; the watch moves about once a second. */
const FRESH_MS = 5_000;
const RETRY_MS = 1_000;

export class EtcdWatch {
  readonly #deps: EtcdWatchDependencies;
  #heardAtMs = -Infinity;

  constructor(dependencies: EtcdWatchDependencies) {
    this.#deps = dependencies;
  }

  /** Why nothing is heard of etcd; null: it is. */
  get problem(): string | null {
    if (this.fresh) return null;
    return this.#deps.etcd.problem ?? 'nothing is heard of it';
  }

  get fresh(): boolean {
    return performance.now() - this.#heardAtMs < FRESH_MS;
  }

  async run(): Promise<void> {
    const { etcd, heard, problems, log, signal } = this.#deps;
    const told = new Problems(log);
    while (!signal.aborted) {
      try {
        for await (const item of listWatch(etcd, { prefix: keys.root }, signal)) {
          this.#heardAtMs = performance.now();
          heard(item);
          told.tell(new Map(problems.flatMap((each) => [...each])));
        }
      } catch (error) {
        log.error({ err: error }, 'the watch of etcd ended; beginning anew');
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
