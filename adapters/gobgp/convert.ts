/** Between what Aether asks (`core/bgp/types.ts`) and what gobgpd's API calls it. */
import { isIP } from 'node:net';
import type { PathConfig, PeerConfig, PeerState } from '../../core/bgp/types';
import { BgpError } from '../../core/bgp/types';
import type { BgpState } from '../../core/model/routing';
import type { AttributeMessage, Family, PathMessage, PeerMessage, Timestamp } from './proto';

/**
 * Between dials to a neighbour that does not answer; gobgpd's least. Its default of 2 minutes would
 * leave a neighbour alone that long.
 */
const CONNECT_RETRY_S = 2;
/** After a reset of ours; its default is 30. */
const IDLE_HOLD_S = 1;
/** GTSM: a neighbour's packets come with this TTL or it is no neighbour (RFC 5082). */
const GTSM_TTL = 255;

export const IPV4: Family = { afi: 'AFI_IP', safi: 'SAFI_UNICAST' };
export const IPV6: Family = { afi: 'AFI_IP6', safi: 'SAFI_UNICAST' };

export const familyOf = (addressOrPrefix: string): Family =>
  addressOrPrefix.includes(':') ? IPV6 : IPV4;

/** gobgpd 4.8.0 panics at an address that it can't parse. */
export function checkedAddress(address: string): string {
  if (isIP(address) !== 0) return address;
  throw new BgpError('refused', `${address} is no address`);
}

/** A neighbour exchanges the family of its address, nothing else. */
export function peerMessage(config: PeerConfig): PeerMessage {
  const family = familyOf(checkedAddress(config.address));
  return {
    conf: {
      neighborAddress: config.address,
      peerAsn: config.asn,
      authPassword: config.password,
      adminDown: false,
    },
    ebgpMultihop: config.multihop === null ? null : { enabled: true, multihopTtl: config.multihop },
    ttlSecurity: config.ttlSecurity ? { enabled: true, ttlMin: GTSM_TTL } : null,
    timers: {
      config: {
        connectRetry: CONNECT_RETRY_S,
        holdTime: config.holdTimeS,
        keepaliveInterval: Math.max(1, Math.floor(config.holdTimeS / 3)),
        idleHoldTimeAfterReset: IDLE_HOLD_S,
      },
    },
    transport: null,
    afiSafis: [
      {
        config: { family, enabled: true },
        prefixLimits: { family, maxPrefixes: config.maxPrefixes },
      },
    ],
  };
}

function peerConfig({
  conf,
  ebgpMultihop,
  ttlSecurity,
  timers,
  afiSafis,
}: PeerMessage): PeerConfig {
  return {
    address: conf.neighborAddress,
    asn: conf.peerAsn,
    password: conf.authPassword,
    ttlSecurity: ttlSecurity?.enabled ?? false,
    multihop: ebgpMultihop?.enabled ? ebgpMultihop.multihopTtl : null,
    holdTimeS: timers?.config?.holdTime ?? 0,
    maxPrefixes: afiSafis[0]?.prefixLimits?.maxPrefixes ?? 0,
  };
}

export function peerState(peer: PeerMessage): PeerState {
  const state = bgpState(peer.state?.sessionState ?? '');
  const established = state === 'established';
  const times = peer.timers?.state;
  const { received, sent } = peer.state?.messages ?? {};
  return {
    config: peerConfig(peer),
    state,
    adminDown: adminDown(peer),
    prefixLimitExceeded: peer.state?.adminState === 'ADMIN_STATE_PFX_CT',
    localAddress: established ? withoutZone(peer.transport?.localAddress ?? '') : null,
    sinceMs: epochMs((established ? times?.uptime : times?.downtime) ?? null),
    received: peer.afiSafis.reduce((sum, family) => sum + (family.state?.received ?? 0), 0),
    opens: { sent: sent?.open ?? 0, received: received?.open ?? 0 },
    notifications: { sent: sent?.notification ?? 0, received: received?.notification ?? 0 },
  };
}

export const adminDown = (peer: PeerMessage): boolean =>
  peer.state?.adminState === 'ADMIN_STATE_DOWN' || peer.state?.adminState === 'ADMIN_STATE_PFX_CT';

const STATES: Readonly<Record<string, BgpState>> = {
  SESSION_STATE_IDLE: 'idle',
  SESSION_STATE_CONNECT: 'connect',
  SESSION_STATE_ACTIVE: 'active',
  SESSION_STATE_OPENSENT: 'openSent',
  SESSION_STATE_OPENCONFIRM: 'openConfirm',
  SESSION_STATE_ESTABLISHED: 'established',
};

export const bgpState = (name: string): BgpState => STATES[name] ?? 'unknown';

const epochMs = (time: Timestamp | null): number =>
  time === null ? 0 : time.seconds * 1000 + Math.floor(time.nanos / 1e6);

const withoutZone = (address: string): string | null => address.split('%')[0] || null;

// ---- Paths ---------------------------------------------------------------------------------------

const ORIGIN_IGP = 0;

/** The next hop is unspecified: each neighbour is told the address of its own session. */
export function pathMessage({ prefix, communities, asPath }: PathConfig): PathMessage {
  const family = familyOf(prefix);
  const [address, length] = prefix.split('/');
  const pattrs: AttributeMessage[] = [
    { attr: 'origin', origin: { origin: ORIGIN_IGP } },
    { attr: 'nextHop', nextHop: { nextHop: family === IPV6 ? '::' : '0.0.0.0' } },
  ];
  if (asPath.length > 0) {
    const segments = [{ type: 'TYPE_AS_SEQUENCE', numbers: asPath }];
    pattrs.push({ attr: 'asPath', asPath: { segments } });
  }
  if (communities.length > 0) pattrs.push({ attr: 'communities', communities: { communities } });
  return {
    nlri: { nlri: 'prefix', prefix: { prefix: address ?? '', prefixLen: Number(length) } },
    pattrs,
    family,
    isWithdraw: false,
  };
}

export function pathConfig(path: PathMessage): PathConfig {
  const config: PathConfig = { prefix: prefixOf(path), communities: [], asPath: [] };
  for (const attribute of path.pattrs) {
    if (attribute.attr === 'communities') config.communities = attribute.communities.communities;
    if (attribute.attr === 'asPath') {
      config.asPath = attribute.asPath.segments.flatMap(({ numbers }) => numbers);
    }
  }
  return config;
}

export function prefixOf({ nlri }: PathMessage): string {
  return nlri === null ? '' : `${nlri.prefix.prefix}/${nlri.prefix.prefixLen}`;
}

export function nextHopOf(path: PathMessage): string {
  for (const attribute of path.pattrs) {
    if (attribute.attr === 'nextHop') return attribute.nextHop.nextHop;
    if (attribute.attr === 'mpReach') return attribute.mpReach.nextHops[0] ?? '';
  }
  return '';
}

/** Put in by the API, not learnt. */
export const isOurs = (path: PathMessage): boolean => (path.sourceAsn ?? 0) === 0;
