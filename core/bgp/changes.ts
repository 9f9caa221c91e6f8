/**
 * What a change of BGP does to sessions, for gobgpd 4.8.0: server.go, updateNeighbor, and oc/util.go,
 * NeedsResendOpenMessage, say which fields delete the neighbour and add it anew. Pure.
 */
import type { BgpSpec, NeighborSpec } from '../model/bgp';
import type { PeerConfig, PeerState } from './types';

/** To be done in their order: what disturbs nobody first, what ends sessions last. */
export type PeerAction = {
  /** An established session goes down by it. */
  resets: boolean;
  /** A sentence for people; never a secret. */
  why: string;
} & (
  | { kind: 'add' | 'update'; address: string; config: PeerConfig }
  | { kind: 'delete'; address: string }
);

/** BGP's hold time is in whole seconds. */
export const peerConfig = (
  { address, asn, ttlSecurity, multihop, holdTimeMs, maxPrefixes }: NeighborSpec,
  password: string,
): PeerConfig => ({
  address,
  asn,
  password,
  ttlSecurity,
  multihop,
  holdTimeS: Math.round(holdTimeMs / 1000),
  maxPrefixes,
});

/** Neighbours as wanted against those that gobgpd has. Those of `kept` stay as they are. */
export function peerActions(
  wanted: readonly PeerConfig[],
  present: readonly PeerState[],
  kept: ReadonlySet<string> = new Set(),
): PeerAction[] {
  const states = new Map(present.map((state) => [state.config.address, state]));
  const addresses = new Set(wanted.map(({ address }) => address));
  const updates = wanted.flatMap((config) => {
    const state = states.get(config.address);
    return state === undefined ? [] : updateOf(config, state);
  });
  const adds = wanted.flatMap((config): PeerAction[] => {
    const { address, asn } = config;
    const why = `${address} (AS ${asn}) is a neighbour from now on`;
    return states.has(address) ? [] : [{ kind: 'add', address, config, resets: false, why }];
  });
  const deletes = present.flatMap(({ config: { address }, state }): PeerAction[] => {
    if (addresses.has(address) || kept.has(address)) return [];
    const resets = state === 'established';
    return [{ kind: 'delete', address, resets, why: `${address} is no neighbour any more` }];
  });
  return [
    ...updates.filter(({ resets }) => !resets),
    ...adds,
    ...updates.filter(({ resets }) => resets),
    ...deletes,
  ];
}

function updateOf(config: PeerConfig, { config: present, state }: PeerState): PeerAction[] {
  const { address } = config;
  const changes = fieldChanges(present, config);
  if (changes.length === 0) return [];
  const resets = state === 'established' && changes.some((change) => change.resets);
  const why = `${address}: ${changes.map(({ what }) => what).join('; ')}`;
  return [{ kind: 'update', address, config, resets, why }];
}

// ---- Two specs, before one is applied ----------------------------------------------------------------

export interface SessionChange {
  /** Null: of all sessions of the node. */
  address: string | null;
  /** Its session goes down, if it is up. */
  resets: boolean;
  /** A sentence for people. */
  what: string;
}

/** What applying `after` in place of `before` means to each session; empty = nothing at all. */
export function sessionChanges(before: BgpSpec | null, after: BgpSpec | null): SessionChange[] {
  if (before === null || after === null) return cameOrWent(before, after);
  const identity = identityChanges(before, after);
  const olds = new Map(before.neighbors.map((neighbor) => [neighbor.address, neighbor]));
  const news = new Set(after.neighbors.map(({ address }) => address));
  const changed = after.neighbors.flatMap((neighbor) => {
    const old = olds.get(neighbor.address);
    return old === undefined ? [added(neighbor)] : neighborChanges(old, neighbor);
  });
  const removed = before.neighbors.filter(({ address }) => !news.has(address)).map(gone);
  return [...identity, ...changed, ...removed];
}

function cameOrWent(before: BgpSpec | null, after: BgpSpec | null): SessionChange[] {
  return [...(before?.neighbors ?? []).map(gone), ...(after?.neighbors ?? []).map(added)];
}

const added = ({ address, asn }: NeighborSpec): SessionChange => ({
  address,
  resets: false,
  what: `${address}: a session with AS ${asn} begins`,
});

const gone = ({ address }: NeighborSpec): SessionChange => ({
  address,
  resets: true,
  what: `${address}: its session ends, it is no neighbour any more`,
});

/** What is fixed once gobgpd is started: after StopBgp it refuses StartBgp. */
const identityKeys = ['asn', 'routerId', 'listenPort'] as const;

function identityChanges(before: BgpSpec, after: BgpSpec): SessionChange[] {
  const changes = identityKeys
    .filter((key) => before[key] !== after[key])
    .map((key) => `${key} ${shown(before[key])} becomes ${shown(after[key])}`);
  if (changes.length === 0) return [];
  const what = `${changes.join(', ')}: all sessions go down with the restart of gobgpd that this takes`;
  return [{ address: null, resets: true, what: `${what}; drain the node first` }];
}

function neighborChanges(before: NeighborSpec, after: NeighborSpec): SessionChange[] {
  const { address } = after;
  const changes = fieldChanges(comparable(before), comparable(after));
  if (!sameBfd(before, after)) changes.push({ resets: false, what: 'BFD changes, BGP stays up' });
  return changes.map(({ resets, what }) => ({ address, resets, what: `${address}: ${what}` }));
}

const sameBfd = ({ bfd: a }: NeighborSpec, { bfd: b }: NeighborSpec): boolean =>
  a?.intervalMs === b?.intervalMs &&
  a?.multiplier === b?.multiplier &&
  a?.holdDownMs === b?.holdDownMs;

/** Names of secrets in place of secrets. */
const comparable = (neighbor: NeighborSpec): PeerConfig =>
  peerConfig(neighbor, neighbor.passwordRef ?? '');

// ---- Fields ------------------------------------------------------------------------------------------

interface FieldChange {
  resets: boolean;
  what: string;
}

/** The password is never shown. */
function fieldChanges(before: PeerConfig, after: PeerConfig): FieldChange[] {
  const changes: FieldChange[] = [];
  const reset = (what: string): void => void changes.push({ resets: true, what });
  if (before.asn !== after.asn) reset(`its session resets: AS ${before.asn} becomes ${after.asn}`);
  if (before.password !== after.password) reset('its session resets: another password');
  if (before.ttlSecurity !== after.ttlSecurity) {
    reset(`its session resets: TTL security ${after.ttlSecurity ? 'on' : 'off'}`);
  }
  if (before.multihop !== after.multihop) {
    reset(
      `its session resets: multihop ${shown(before.multihop)} becomes ${shown(after.multihop)}`,
    );
  }
  if (before.holdTimeS !== after.holdTimeS) {
    const what = `hold time ${before.holdTimeS} s becomes ${after.holdTimeS} s with its next session`;
    changes.push({ resets: false, what });
  }
  if (before.maxPrefixes !== after.maxPrefixes) {
    const what = `at most ${after.maxPrefixes} prefixes instead of ${before.maxPrefixes}`;
    changes.push({ resets: false, what: `${what}: its session ends if it has sent more` });
  }
  return changes;
}

const shown = (value: number | string | null): string => (value === null ? 'off' : String(value));
