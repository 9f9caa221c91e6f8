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
    /** Whom we know, by the addresses that they send from. */
    private readonly places: () => ReadonlyMap<string, NodeName>,
  ) {}

  async seenAt(prefixes: readonly string[]): Promise<Seen> {
    const seen = this.observers.map(async ({ name, port }) => {
      try {
        const found = await Promise.all(prefixes.map((prefix) => port.pathsOf(prefix)));
        return { name, problem: null, found: found.flat() };
      } catch (error) {
        return { name, problem: (error as Error).message, found: [] };
      }
    });
    const told = await Promise.all(seen);
    const any = told.some(({ found }) => found.length > 0);
    const places = any ? this.places() : new Map<string, NodeName>();
    return {
      configured: this.observers.length > 0,
      observers: told.map(({ name, problem, found }) => ({
        name,
        problem,
        paths: found.map((path) => seenPath(path, places)),
      })),
    };
  }
}

const seenPath = (
  { prefix, neighbor, nextHop, best, communities, asPath }: ObservedPath,
  places: ReadonlyMap<string, NodeName>,
): SeenPath => ({
  prefix,
  from: neighbor,
  nextHop,
  node: places.get(nextHop) ?? null,
  best,
  communities: communities.map((value) => `${value >>> 16}:${value & 0xffff}`),
  asPathLength: asPath.length,
});
