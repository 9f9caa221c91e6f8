/** A pair of which some ends are there, but not as a whole: what became of it, in words. */
import type { Pair } from './pairs';
import type { Located } from './survey';
import type { FindingKind } from './types';

const placeOf = ({ namespace }: Located): string =>
  namespace === null ? 'the host' : `namespace ${namespace}`;

export const halfOf = ({ strays, netns, root, ...pair }: Pair): [FindingKind, string] => {
  const host = strays.find(({ link }) => link.alias === pair.aliases.host);
  const peer = strays.find(({ link }) => link.alias === pair.aliases.peer);
  const home = pair.namespace.name;
  if (host !== undefined && host.namespace !== null) {
    return ['linkWrongNamespace', `its host end is in ${placeOf(host)}`];
  }
  if (host === undefined && peer?.link.peerInode !== root.inode) {
    return ['linkWrongNamespace', 'its host end is in another namespace'];
  }
  if (peer !== undefined && peer.namespace !== home) {
    return ['peerWrongNamespace', `its peer is in ${placeOf(peer)}, not in ${home}`];
  }
  if (host !== undefined && (netns === null || host.link.peerInode !== netns.inode)) {
    return ['peerWrongNamespace', `its peer is not in ${home}`];
  }
  return ['linkMissing', 'one of its ends has lost our mark'];
};
