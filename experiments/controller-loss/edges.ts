/** An edge for each shard: the stream client of the agent, and what fences it has heard. */
import { EdgeStreamClient } from '../../adapters/edge-stream/client';
import type { OwnerFence } from '../../core/model/edge-spec';
import { shardOf } from '../../core/ring/shard';
import type { Brains } from '../../workers/controller/testing/brains';

/** A name that hashes to this shard. */
function nodeOf(shard: number): string {
  for (let i = 0; ; i++) if (shardOf(`edge-${i}`) === shard) return `edge-${i}`;
}

export class FencedEdges {
  readonly #clients: EdgeStreamClient[] = [];
  /** By shard: the highest fence, and when it came; the client tells of no lower one (core/edge/streams.ts). */
  readonly #heard = new Map<number, { ownerRevision: number; atMs: number }>();

  static async dial(
    brains: Brains,
    shards: readonly number[],
    controllers: readonly string[],
  ): Promise<FencedEdges> {
    const edges = new FencedEdges();
    for (const shard of shards) {
      const tls = await brains.cluster.certificate('edge', nodeOf(shard));
      const client = new EdgeStreamClient(
        { controllers, tls },
        {
          hello: () => HELLO,
          connected: () => undefined,
          disconnected: () => undefined,
          message: () => undefined,
          fence: (fence) => edges.#fenced(shard, fence),
        },
      );
      edges.#clients.push(client);
      client.start();
    }
    return edges;
  }

  get shards(): number[] {
    return [...this.#heard.keys()];
  }

  ownerRevision(shard: number): number {
    return this.#heard.get(shard)?.ownerRevision ?? 0;
  }

  atMs(shard: number): number {
    return this.#heard.get(shard)?.atMs ?? NaN;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  #fenced(shard: number, { ownerRevision }: OwnerFence): void {
    this.#heard.set(shard, { ownerRevision, atMs: performance.now() });
  }
}

const HELLO = {
  incarnation: 1,
  agentVersion: 'experiment',
  acceptedRevision: 0,
  acceptedHash: '',
  appliedHash: '',
};
