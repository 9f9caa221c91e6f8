/** What happens next, by a seed: the same seed breaks the same things in the same order. */
import { type FaultName, faultsOf } from '../../lab/faults';
import type { NodeResource } from '../../core/model/node';

/** 0 ≤ x < 1, as Math.random; mulberry32. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Round {
  node: NodeResource;
  /** One to three, inflicted together. */
  faults: FaultName[];
  /** A process that is killed at the same time. */
  victim: string | null;
}

const MOST_FAULTS = 3;
/** How many of the rough rounds kill a process, too. */
const KILL_SHARE = 0.3;

export function nextRound(
  random: () => number,
  nodes: readonly NodeResource[],
  victims: readonly string[],
): Round {
  const pick = <T>(from: readonly T[]): T => {
    const picked = from[Math.floor(random() * from.length)];
    if (picked === undefined) throw new RangeError('There is nothing to pick from');
    return picked;
  };
  const node = pick(nodes);
  const names = Object.keys(faultsOf(node)) as FaultName[];
  const count = 1 + Math.floor(random() * MOST_FAULTS);
  const faults = [...new Set(Array.from({ length: count }, () => pick(names)))];
  const victim = victims.length > 0 && random() < KILL_SHARE ? pick(victims) : null;
  return { node, faults, victim };
}
