/** Whom an edge dials next, of those that it knows. */
import type { StreamsState } from './streams-types';

/** Those that were learned, and those that it began with; each once. */
export const addressesOf = ({ seeds, learned }: StreamsState): string[] => [
  ...new Set([...learned.map(({ address }) => address), ...seeds]),
];

export const notBefore = ({ notBeforeMs }: StreamsState, address: string): number =>
  notBeforeMs.get(address) ?? 0;

/** Since it lost somebody. */
export const isTried = ({ triedAtMs, lostAtMs }: StreamsState, address: string): boolean =>
  (triedAtMs.get(address) ?? -Infinity) >= lostAtMs;

/** Who may be dialled first; of these learned ones that were not tried yet (seeds may long be gone), tried longest ago. */
export function nextAddress(
  state: StreamsState,
  nowMs: number,
  random: () => number,
): { address: string; atMs: number } | null {
  const { held, triedAtMs } = state;
  const free = addressesOf(state).filter(
    (address) => !held.some((each) => each.address === address),
  );
  const atMs = Math.min(...free.map((address) => Math.max(nowMs, notBefore(state, address))));
  const ready = free.filter((address) => notBefore(state, address) <= atMs);
  const known = new Set(state.learned.map(({ address }) => address));
  const learned = ready.filter((address) => known.has(address) && !isTried(state, address));
  const among = learned.length > 0 ? learned : ready;
  const tried = (address: string): number => triedAtMs.get(address) ?? -Infinity;
  const longest = Math.min(...among.map(tried));
  const equal = among.filter((address) => tried(address) === longest);
  const address = equal[Math.floor(random() * equal.length)];
  return address === undefined ? null : { address, atMs };
}
