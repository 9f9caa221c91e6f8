/** The formulas of memberlist 0.7 (util.go, suspicion.go), and its choice by chance. */
import type { Profile, Random, Suspicion } from './types';

/** util.go `retransmitLimit`: how often a piece of news is sent among `members`. */
export const retransmitLimit = (multiplier: number, members: number): number =>
  multiplier * Math.ceil(Math.log10(members + 1));

/** util.go `suspicionTimeout`: the shortest time that a suspicion lasts, in ms. */
export function suspicionMinMs(multiplier: number, members: number, probeMs: number): number {
  const scale = Math.max(1, Math.log10(Math.max(1, members)));
  // Three digits of the scale count there.
  return (multiplier * Math.floor(scale * 1_000) * probeMs) / 1_000;
}

/** suspicion.go `remainingSuspicionTime`, of the whole time: `confirmed` of `wanted` others have said so, too. */
export function suspicionMs(
  confirmed: number,
  wanted: number,
  minMs: number,
  maxMs: number,
): number {
  if (wanted < 1) return minMs;
  const part = Math.log(confirmed + 1) / Math.log(wanted + 1);
  return Math.max(minMs, Math.floor(maxMs - part * (maxMs - minMs)));
}

/** How many confirmations a suspicion waits for: none where there are not enough others. */
export const confirmationsWanted = (profile: Profile, members: number): number =>
  members - 2 < profile.confirmations ? 0 : profile.confirmations;

/** When a suspicion becomes a death. */
export function suspicionEndsMs(profile: Profile, suspicion: Suspicion): number {
  const { startMs, wanted, members, accusers, looked } = suspicion;
  const found = looked?.found ?? null;
  const multiplier =
    found === null || found === 'acked' ? profile.suspicion : profile.suspicionOf[found];
  const minMs = suspicionMinMs(multiplier, members, profile.probeMs);
  const confirmed = Math.min(Math.max(0, accusers.length - 1), wanted);
  return startMs + suspicionMs(confirmed, wanted, minMs, minMs * profile.suspicionMax);
}

const SCALES_ABOVE = 32;

/** util.go `pushPullScale`: the more members, the rarer. */
export function pushPullMs(intervalMs: number, members: number): number {
  if (members <= SCALES_ABOVE) return intervalMs;
  return intervalMs * (Math.ceil(Math.log2(members) - Math.log2(SCALES_ABOVE)) + 1);
}

/** Fisher and Yates; a copy. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [all[i], all[j]] = [all[j] as T, all[i] as T];
  }
  return all;
}
