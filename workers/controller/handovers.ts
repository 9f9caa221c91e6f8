/**
 * Shards that are ours by their key and another's by the map (docs/notes/cluster.md, "A shard changes hands"): kept
 * until the next one is warm, and until the edges have moved or 2 s are over; then closed, then released.
 */
import type { Logger } from 'pino';
import { SHARD_COUNT } from '../../core/model/ids';
import { ownerOf } from '../../core/ring/map';
import type { ControllerId } from '../../core/ring/types';
import type { ControllerMetrics } from './metrics';
import type { RingPicture } from './ring-picture';
import type { ShardReadiness } from './ring-side';
import type { Shards } from './shards';

export interface HandoverDependencies {
  /** Of this controller. */
  id: ControllerId;
  shards: Shards;
  movedAway: (shard: number) => Promise<void>;
  workers: ShardReadiness;
  onShards: () => void;
  metrics: ControllerMetrics;
  log: Logger;
}

interface Leaving {
  to: ControllerId;
  sinceMs: number;
  /** Its edges are there. */
  moved: boolean;
  closedAtMs: number | null;
}

/** For the edges to move. */
export const PATIENCE_MS = 2_000;
/** For activities under way to end; what still runs then is refused by its fence, and done by the next one. */
export const CLOSING_MS = 2_000;
/** A key that we have given up is gone from the picture by then, or it was not deleted. */
const STRAY_MS = 1_000;
/** For its polling to be called off, which is done at the next look at what is ours. */
const QUIET_MS = 150;

export class Handovers {
  readonly #deps: HandoverDependencies;
  readonly #picture: RingPicture;
  readonly #leaving = new Map<number, Leaving>();
  /** Keys of ours that we don't hold and shall not have, and since when they are seen. */
  readonly #strays = new Map<number, number>();

  readonly #again: () => void;

  /** `again`: something has changed, look. */
  constructor(dependencies: HandoverDependencies, picture: RingPicture, again: () => void) {
    this.#deps = dependencies;
    this.#picture = picture;
    this.#again = again;
  }

  /** Does what is due; when to look again. `mine`: by the map. */
  async look(mine: readonly number[], nowMs: number): Promise<number> {
    const { shards, onShards } = this.#deps;
    this.#begin(new Set(mine), nowMs);
    let nextMs = Infinity;
    let closed = false;
    const ready: number[] = [];
    for (const [shard, leaving] of this.#leaving) {
      if (leaving.closedAtMs === null && this.#mayClose(shard, leaving, nowMs)) {
        shards.close(shard);
        leaving.closedAtMs = nowMs;
        closed = true;
      }
      if (leaving.closedAtMs === null) {
        // Later than that, only what is heard of the next one makes a difference.
        const patientUntilMs = leaving.sinceMs + PATIENCE_MS;
        if (nowMs < patientUntilMs) nextMs = Math.min(nextMs, patientUntilMs);
      } else {
        const dueAtMs = this.#releaseAtMs(shard, leaving.closedAtMs);
        if (dueAtMs <= nowMs) ready.push(shard);
        else nextMs = Math.min(nextMs, dueAtMs);
      }
    }
    if (closed) onShards();
    if (ready.length > 0) {
      await this.#release(ready);
      onShards();
    }
    await this.#dropStrays(new Set(mine), nowMs);
    return nextMs;
  }

  /** Else the next owner would wait for a key that nobody gives up any more. */
  async #dropStrays(mine: ReadonlySet<number>, nowMs: number): Promise<void> {
    const { id, shards } = this.#deps;
    const found: { shard: number; token: number }[] = [];
    for (let shard = 0; shard < SHARD_COUNT; shard++) {
      const owned = this.#picture.owned(shard);
      const stray = owned?.controller === id && !mine.has(shard) && !shards.holds(shard);
      if (!stray) this.#strays.delete(shard);
      else if (!this.#strays.has(shard)) this.#strays.set(shard, nowMs);
      const sinceMs = this.#strays.get(shard) ?? nowMs;
      if (stray && nowMs - sinceMs >= STRAY_MS) found.push({ shard, token: owned.token });
    }
    if (found.length > 0) await shards.drop(found);
  }

  #begin(mine: ReadonlySet<number>, nowMs: number): void {
    const { shards } = this.#deps;
    const map = this.#picture.map?.ring ?? null;
    for (const [shard, leaving] of this.#leaving) {
      const to = map === null ? null : ownerOf(map, shard);
      if (shards.holds(shard) && to === leaving.to && this.#picture.registration(leaving.to))
        continue;
      // It stays, goes to another one, or is gone.
      this.#leaving.delete(shard);
      shards.reopen(shard);
    }
    for (const shard of shards.owned) {
      if (mine.has(shard) || this.#leaving.has(shard) || map === null) continue;
      const to = ownerOf(map, shard);
      // Nobody is there to take it: it is ours until there is.
      if (to === null || this.#picture.registration(to) === null) continue;
      const leaving: Leaving = { to, sinceMs: nowMs, moved: false, closedAtMs: null };
      this.#leaving.set(shard, leaving);
      void this.#deps.movedAway(shard).then(() => {
        leaving.moved = true;
        this.#again();
      });
    }
  }

  /**
   * A next one that has not said, of this very map, that it is ready is waited for: its loop may stand still while a thread
   * keeps its lease, and the shard would be nobody's until that ends.
   */
  #mayClose(shard: number, { to, sinceMs, moved }: Leaving, nowMs: number): boolean {
    const { map } = this.#picture;
    const warm = this.#picture.warm(shard);
    const ready = warm?.controller === to && warm.epoch === map?.epoch;
    return ready && (moved || nowMs >= sinceMs + PATIENCE_MS);
  }

  #releaseAtMs(shard: number, closedAtMs: number): number {
    const { workers } = this.#deps;
    if (workers.ended(shard)) return closedAtMs;
    return closedAtMs + (workers.running(shard) === 0 ? QUIET_MS : CLOSING_MS);
  }

  async #release(ready: readonly number[]): Promise<void> {
    const { shards, metrics, log } = this.#deps;
    const left = ready.map((shard) => this.#leaving.get(shard));
    for (const shard of ready) this.#leaving.delete(shard);
    await shards.release(ready);
    const nowMs = performance.now();
    const tookMs = left.map((leaving) => nowMs - (leaving?.sinceMs ?? nowMs));
    for (const ms of tookMs) metrics.handoverSeconds.observe(ms / 1000);
    const to = [...new Set(left.map((leaving) => leaving?.to))];
    log.info({ shards: ready, to, tookMs: Math.round(Math.max(...tookMs)) }, 'handed over');
  }
}
