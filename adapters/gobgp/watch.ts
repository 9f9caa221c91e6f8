/** Makes BgpEvents of what WatchEvent sends. */
import type { BestPath, BgpEvent } from '../../core/bgp/types';
import { adminDown, bgpState, isOurs, nextHopOf, prefixOf } from './convert';
import type { PathMessage, PeerMessage, WatchEventResponse } from './proto';

export class EventReader {
  private readonly awaited: { peers: boolean; best: boolean };
  /** Prefix → neighbour → next hop. */
  private readonly best = new Map<string, Map<string, string>>();

  constructor(
    what: { peers: boolean; best: boolean },
    private readonly onEvent: (event: BgpEvent) => void,
  ) {
    this.awaited = { ...what };
  }

  take({ event, peer, table }: WatchEventResponse): void {
    if (event === 'peer' && peer !== undefined) {
      if (peer.type === 'TYPE_END_OF_INIT') this.done('peers');
      else if (peer.peer !== null) this.onEvent(peerEvent(peer.peer));
    }
    if (event === 'table' && table !== undefined) {
      this.takePaths(table.paths);
      // The table as it is comes as one message, also where it is empty.
      this.done('best');
    }
  }

  private done(what: 'peers' | 'best'): void {
    if (!this.awaited[what]) return;
    this.awaited[what] = false;
    if (!this.awaited.peers && !this.awaited.best) this.onEvent({ kind: 'initialDone' });
  }

  /** With use_multiple_paths gobgpd tells each path that came or went. */
  private takePaths(paths: PathMessage[]): void {
    const touched = new Set<string>();
    for (const path of paths) {
      if (isOurs(path) || path.neighborIp === undefined) continue;
      const prefix = prefixOf(path);
      const hops = this.best.get(prefix) ?? new Map<string, string>();
      if (path.isWithdraw) hops.delete(path.neighborIp);
      else hops.set(path.neighborIp, nextHopOf(path));
      this.best.set(prefix, hops);
      touched.add(prefix);
    }
    for (const prefix of touched) {
      const hops = this.best.get(prefix) ?? new Map<string, string>();
      if (hops.size === 0) this.best.delete(prefix);
      const best = [...hops].map(([neighbor, nextHop]): BestPath => ({
        prefix,
        nextHop,
        neighbor,
      }));
      this.onEvent({ kind: 'best', prefix, paths: best });
    }
  }
}

const peerEvent = (peer: PeerMessage): BgpEvent => ({
  kind: 'peer',
  address: peer.conf.neighborAddress,
  state: bgpState(peer.state?.sessionState ?? ''),
  adminDown: adminDown(peer),
  reason: null,
});
