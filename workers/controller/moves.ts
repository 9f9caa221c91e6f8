/**
 * Edges that belong to another controller: tells each where it belongs, and when all of a shard are there; and each which
 * controllers there are. Level, not edge: `look` and `tell` compare what each was told with what is so, and say what is new.
 */
import { status as code } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { type ControllerAddress, PROTOCOL_OF_REDIRECTS } from '../../adapters/edge-stream/proto';
import type { EdgeSession } from '../../adapters/edge-stream/server';
import type { OwnerFence } from '../../core/model/edge-spec';
import type { NodeName } from '../../core/model/ids';
import { shardOf } from '../../core/ring/shard';
import type { Place } from '../../core/ring/types';
import type { ControllerMetrics } from './metrics';

export interface MovesDependencies {
  place: (shard: number) => Place;
  fence: (shard: number) => OwnerFence | null;
  /** Nobody that we know owns it any more: its heartbeats say so. */
  lost: (node: NodeName) => boolean;
  /** It hears that we own it, for the first time with this fence. */
  owned: (session: EdgeSession) => void;
  metrics: Pick<ControllerMetrics, 'redirects'>;
  log: Logger;
}

/** An edge that has not moved by then is left to find its new owner by itself. */
const MOVE_TIMEOUT_MS = 2_000;

interface Told {
  shard: number;
  /** Where it was sent; null: nowhere. */
  to: ControllerAddress | null;
  /** It has said that it is there. */
  moved: boolean;
  /** The fence it was told last. */
  ownerRevision: number | null;
  lost: boolean;
  controllers: string;
}

export class Moves {
  readonly #told = new Map<EdgeSession, Told>();
  readonly #ofShard = new Map<number, Set<EdgeSession>>();
  readonly #waiting = new Map<number, Set<() => void>>();
  #controllers: { list: readonly ControllerAddress[]; text: string } = { list: [], text: '[]' };

  constructor(private readonly deps: MovesDependencies) {}

  connected(session: EdgeSession): void {
    const shard = shardOf(session.node);
    const ownerRevision = this.deps.fence(shard)?.ownerRevision ?? null;
    const { text: controllers } = this.#controllers;
    const nowhere = { to: null, moved: false, lost: false };
    this.#told.set(session, { shard, ownerRevision, controllers, ...nowhere });
    const sessions = this.#ofShard.get(shard) ?? new Set();
    this.#ofShard.set(shard, sessions.add(session));
    this.#look(session);
  }

  ended(session: EdgeSession): void {
    const told = this.#told.get(session);
    if (told === undefined) return;
    this.#told.delete(session);
    const sessions = this.#ofShard.get(told.shard);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#ofShard.delete(told.shard);
    this.#settle(told.shard);
  }

  /** The edge says that `controller` has welcomed it. */
  moved(session: EdgeSession, controller: string): void {
    const told = this.#told.get(session);
    if (told?.to?.id !== controller) return;
    told.moved = true;
    this.#settle(told.shard);
  }

  /** The places, or the fences, of these shards may be other ones now. */
  look(shards: Iterable<number> = this.#ofShard.keys()): void {
    for (const shard of [...shards]) {
      for (const session of [...(this.#ofShard.get(shard) ?? [])]) this.#look(session);
    }
  }

  /** Who is there; an edge that connects is welcomed with it. */
  tell(list: readonly ControllerAddress[]): void {
    this.#controllers = { list, text: JSON.stringify(list) };
    for (const session of this.#told.keys()) this.#tell(session);
  }

  /** What could not be said before, or is not true any more. */
  drained(session: EdgeSession): void {
    this.#tell(session);
    this.#look(session);
  }

  #tell(session: EdgeSession): void {
    const told = this.#told.get(session);
    const { list, text } = this.#controllers;
    if (told === undefined || told.controllers === text) return;
    const controllers = { controllers: [...list] };
    if (session.send({ message: 'controllers', controllers })) told.controllers = text;
  }

  /** All edges of the shard that are connected have said that they are where they were sent, or 2 s are over. */
  movedAway(shard: number): Promise<void> {
    if (!this.#lingers(shard)) return Promise.resolve();
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(shard) ?? new Set();
      const done = (): void => {
        clearTimeout(timer);
        waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(() => {
        const left = [...(this.#ofShard.get(shard) ?? [])].map(({ node }) => node);
        this.deps.log.warn({ shard, left }, 'edges have not moved in time');
        done();
      }, MOVE_TIMEOUT_MS);
      this.#waiting.set(shard, waiting.add(done));
    });
  }

  #lingers(shard: number): boolean {
    return [...(this.#ofShard.get(shard) ?? [])].some(
      (session) => this.#told.get(session)?.moved === false,
    );
  }

  #settle(shard: number): void {
    if (this.#lingers(shard)) return;
    const waiting = this.#waiting.get(shard);
    this.#waiting.delete(shard);
    for (const done of waiting ?? []) done();
  }

  #look(session: EdgeSession): void {
    const told = this.#told.get(session);
    if (told === undefined) return;
    const { place, fence, owned } = this.deps;
    const where = place(told.shard);
    const ownerRevision = fence(told.shard)?.ownerRevision ?? null;
    if (ownerRevision !== null && ownerRevision !== told.ownerRevision && session.beat()) {
      told.ownerRevision = ownerRevision;
      owned(session);
    }
    // Said at once: the edge need not wait for the next heartbeat to look for another one.
    const lost = this.deps.lost(session.node);
    if (lost !== told.lost && session.beat()) told.lost = lost;
    const to = where.kind === 'elsewhere' ? { id: where.controller, address: where.address } : null;
    if (to?.id !== told.to?.id || to?.address !== told.to?.address) this.#send(session, told, to);
  }

  #send(session: EdgeSession, told: Told, to: ControllerAddress | null): void {
    const { metrics, log } = this.deps;
    const { node } = session;
    if (session.protocol < PROTOCOL_OF_REDIRECTS) {
      // It knows no redirect, but tries its controllers in turn.
      if (to) session.close(code.UNAVAILABLE, `controller ${to.id} owns this edge`);
      return;
    }
    // Where its transport is full, `drained` comes again.
    if (!session.redirect(to)) return;
    told.to = to;
    told.moved = false;
    if (to) metrics.redirects.inc();
    log.info({ node, to }, to ? 'edge sent to another controller' : 'edge may stay');
  }
}
