/**
 * A gobgpd that is only looked at: it peers with the routers and takes in service prefixes
 * (docs/notes/routing.md). In clear, as gobgpd serves it: keep its port inside the management network.
 */
import type { ObservedPath, ObserverPort } from '../../core/bgp/types';
import { Calls } from './calls';
import { familyOf, nextHopOf, pathConfig } from './convert';
import type { PathMessage } from './proto';

export class GobgpObserver implements ObserverPort {
  private readonly calls: Calls;

  /** `host:port`. */
  constructor(address: string) {
    this.calls = new Calls(address);
  }

  async pathsOf(prefix: string): Promise<ObservedPath[]> {
    const found = await this.calls.list<{ destination: { paths: PathMessage[] } }>('ListPath', {
      tableType: 'TABLE_TYPE_GLOBAL',
      family: familyOf(prefix),
      prefixes: [{ prefix, type: 'TYPE_EXACT' }],
    });
    return found.flatMap(({ destination }) => destination.paths).map(observed);
  }

  close(): void {
    this.calls.close();
  }
}

const observed = (path: PathMessage): ObservedPath => ({
  ...pathConfig(path),
  neighbor: path.neighborIp ?? '',
  nextHop: nextHopOf(path),
  best: path.best ?? false,
});
