/**
 * What routers have taken: asked of gobgpds that peer with the same routers and import service prefixes
 * (docs/notes/routing.md). A path belongs to the edge whose session has its next hop as local address.
 */
import type { ObservedPath, ObserverPort } from '../../core/bgp/types';
import type { NodeName } from '../../core/model/ids';
import type { Seen, SeenPath } from '../../core/model/routing-messages';

export interface Observer {
  name: string;
  port: Pick<ObserverPort, 'pathsOf'>;
}

export class Observers {
  constructor(
    private readonly observers: readonly Observer[],
    /** By address that it sends from; null = of nobody we know. */
    private readonly nodeAt: (address: string) => NodeName | null,
  ) {}

  async seenAt(prefixes: readonly string[]): Promise<Seen> {
    const seen = this.observers.map(async ({ name, port }) => {
      try {
        const found = await Promise.all(prefixes.map((prefix) => port.pathsOf(prefix)));
        return { name, problem: null, paths: found.flat().map((path) => this.#seen(path)) };
      } catch (error) {
        return { name, problem: (error as Error).message, paths: [] };
      }
    });
    return { configured: this.observers.length > 0, observers: await Promise.all(seen) };
  }

  #seen({ prefix, neighbor, nextHop, best, communities, asPath }: ObservedPath): SeenPath {
    return {
      prefix,
      from: neighbor,
      nextHop,
      node: this.nodeAt(nextHop),
      best,
      communities: communities.map((value) => `${value >>> 16}:${value & 0xffff}`),
      asPathLength: asPath.length,
    };
  }
}
