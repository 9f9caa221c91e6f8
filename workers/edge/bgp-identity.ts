/** Whose a gobgpd is that answers at our socket, and what it runs as. */
import type { BgpPort, GlobalConfig } from '../../core/bgp/types';
import type { BgpSpec } from '../../core/model/bgp';

/**
 * By our mark, its export policy. Without it (a start that was cut, or somebody took the policy away): if it
 * runs as it shall, and has no neighbour and no path but those of the spec.
 */
export async function isOurs(
  port: BgpPort,
  { neighbors }: BgpSpec,
  exportPrefixes: readonly string[],
  runsAsWanted: boolean,
): Promise<boolean> {
  if (await port.isOurs()) return true;
  if (!runsAsWanted) return false;
  const wanted = new Set(neighbors.map(({ address }) => address));
  const prefixes = new Set(exportPrefixes);
  const isKnown = (await port.peers()).every(({ config }) => wanted.has(config.address));
  return isKnown && (await port.paths()).every(({ prefix }) => prefixes.has(prefix));
}

export const sameGlobal = (a: GlobalConfig, b: GlobalConfig): boolean =>
  a.asn === b.asn && a.routerId === b.routerId && a.listenPort === b.listenPort;

const shown = ({ asn, routerId, listenPort }: GlobalConfig): string =>
  `AS ${asn}, router id ${routerId}, ${listenPort === null ? 'not listening' : `port ${listenPort}`}`;

export const foreign = (wanted: GlobalConfig, present: GlobalConfig): string =>
  `another one's gobgpd answers at the socket: it runs as ${shown(present)}, the spec wants ` +
  `${shown(wanted)}. It is left untouched: end it, or give Aether another socket (AETHER_GOBGP_SOCKET)`;

/** gobgpd 4.8.0 can't be given another identity: after StopBgp it refuses StartBgp. */
export const waitsForRestart = (wanted: GlobalConfig, present: GlobalConfig): string =>
  `gobgpd runs as ${shown(present)} until it is restarted; the spec wants ${shown(wanted)}: ` +
  'drain the node, then `systemctl restart aether-gobgpd`';
