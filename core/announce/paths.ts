/**
 * The announcement lease as a value: what it says, whether it still holds, and by which edits gobgpd
 * comes to hold just that. Times in ms of a clock that does not jump.
 */
import type { PathConfig } from '../bgp/types';
import { DEPREFER_PREPEND, GRACEFUL_SHUTDOWN, type Stance, worst } from '../model/anycast';
import type { Lease, LeasedPath } from './types';

export interface LeaseState {
  /** Null: nobody has said anything yet, so nothing is touched. */
  lease: Lease | null;
  renewedMs: number;
}

export const NO_LEASE: LeaseState = { lease: null, renewedMs: 0 };

/** `lease` null: the last one, once more. A renewal of nothing is nothing. */
export const renew = (state: LeaseState, lease: Lease | null, nowMs: number): LeaseState =>
  lease === null && state.lease === null
    ? state
    : { lease: lease ?? state.lease, renewedMs: nowMs };

/** When it expires; Infinity: there is none. */
export const expiresMs = ({ lease, renewedMs }: LeaseState): number =>
  lease === null ? Infinity : renewedMs + lease.graceMs;

export const expired = (state: LeaseState, nowMs: number): boolean => nowMs >= expiresMs(state);

/** A prefix as it shall be; `path` null: not in gobgpd. */
export interface Target {
  prefix: string;
  stance: Stance;
  path: PathConfig | null;
}

/** One for each prefix of the lease; null: there is none, leave everything. */
export function targets(state: LeaseState, nowMs: number): Target[] | null {
  const { lease } = state;
  if (lease === null) return null;
  const over = expired(state, nowMs);
  const byPrefix = new Map<string, Target>();
  for (const leased of lease.paths) {
    const stance = over ? worst(leased.stance, leased.onExpiry) : leased.stance;
    const { prefix } = leased;
    const former = byPrefix.get(prefix);
    // Two services with one prefix: what either can't vouch for is not vouched for.
    if (former !== undefined && worst(former.stance, stance) === former.stance) continue;
    byPrefix.set(prefix, { prefix, stance, path: pathOf(leased, stance, lease.asn) });
  }
  return [...byPrefix.values()];
}

function pathOf(
  leased: Pick<LeasedPath, 'prefix' | 'communities' | 'prepend'>,
  stance: Stance,
  asn: number,
): PathConfig | null {
  if (stance === 'withdraw') return null;
  const { prefix, communities, prepend } = leased;
  if (stance === 'announce') return { prefix, communities, asPath: repeat(asn, prepend) };
  return {
    prefix,
    communities: [...new Set([...communities, GRACEFUL_SHUTDOWN])],
    asPath: repeat(asn, prepend + DEPREFER_PREPEND),
  };
}

const repeat = (asn: number, times: number): number[] => Array<number>(times).fill(asn);

/**
 * Of a process that nobody has told anything, not even one before it: paths of ours that are there without
 * anybody who vouches for them. What their expiry would be is not known, so they become the last choice,
 * and none is taken away.
 */
export const orphanTargets = (there: readonly PathConfig[], asn: number): Target[] =>
  there.map((path) => {
    const { prefix, communities, asPath } = path;
    if (stanceOf(path) === 'deprefer') return { prefix, stance: 'deprefer', path };
    const leased = { prefix, communities, prepend: asPath.length };
    return { prefix, stance: 'deprefer', path: pathOf(leased, 'deprefer', asn) };
  });

export type Edit =
  /** Adds, or replaces what is there. */
  { kind: 'add'; path: PathConfig } | { kind: 'delete'; prefix: string };

/**
 * What makes `held` (all that was put into gobgpd by its API) into `wanted`. Nobody else writes paths
 * there, so what is not wanted goes; last, after what takes its place.
 */
export function edits(wanted: readonly Target[], held: readonly PathConfig[]): Edit[] {
  const there = new Map(held.map((path) => [path.prefix, path]));
  const edited: Edit[] = [];
  for (const { prefix, path } of wanted) {
    if (path === null) continue;
    const former = there.get(prefix);
    if (former === undefined || !samePath(former, path)) edited.push({ kind: 'add', path });
    there.delete(prefix);
  }
  return [...edited, ...[...there.keys()].map((prefix) => ({ kind: 'delete', prefix }) as const)];
}

/** Communities are a set (RFC 1997), an AS path is not. */
const samePath = (a: PathConfig, b: PathConfig): boolean =>
  a.asPath.join() === b.asPath.join() && sorted(a.communities) === sorted(b.communities);

const sorted = (communities: readonly number[]): string =>
  [...new Set(communities)].sort((a, b) => a - b).join();

/** How a prefix that is in gobgpd stands there. */
export const stanceOf = ({ communities }: PathConfig): Stance =>
  communities.includes(GRACEFUL_SHUTDOWN) ? 'deprefer' : 'announce';
