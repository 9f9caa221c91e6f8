/** Whom a node must never lose: the peers of its BGP and BFD sessions. */
import type { NodeSpec } from './node';
import { hostPrefix } from './service-ways';

type Routing = Pick<NodeSpec, 'bgp' | 'bfdPeers'>;

/** With its place in the spec of the Node. */
export interface Peer {
  /** `/32`, `/128`. */
  prefix: string;
  path: (string | number)[];
}

/** Failsafe in every filter of the node. */
export const peersOf = ({ bgp, bfdPeers }: Routing): Peer[] => [
  ...(bgp?.neighbors ?? []).map(({ address }, i) => ({
    prefix: hostPrefix(address),
    path: ['spec', 'bgp', 'neighbors', i, 'address'],
  })),
  ...bfdPeers.map(({ address }, i) => ({
    prefix: hostPrefix(address),
    path: ['spec', 'bfdPeers', i, 'address'],
  })),
];
