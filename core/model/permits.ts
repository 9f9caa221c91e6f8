/**
 * Permits to withdraw a service without asking (design §5). Of `announcers − floor` nodes, each may lose
 * its proof on its own and go; the others prepend and stay. They are handed out beforehand, so that no
 * edge needs anybody in the moment itself.
 */
import type { NodeName } from './ids';
import type { Permits } from './routing';

export interface PermitPicture {
  /** minAnnouncers. */
  floor: number;
  /** Nodes that announce it as far as is known, or would: active, and nobody commanded otherwise. */
  candidates: readonly NodeName[];
  /** All nodes that there are: what others held is lost with them. */
  nodes: readonly NodeName[];
  /** `permits/<service>`; null = nobody ever had one. */
  present: Permits | null;
  /**
   * Nodes that have accepted the spec that compiles from `present` (of its revision, or a later one):
   * one of them that `present` has as `returning` has given its permit back.
   */
  settled: readonly NodeName[];
}

type Holders = Permits['holders'];

/** Those that have given theirs back are no holders any more. */
const stillHeld = ({
  present,
  nodes,
  settled,
}: PermitPicture): [NodeName, 'held' | 'returning'][] =>
  Object.entries(present?.holders ?? {})
    .filter(([node]) => nodes.includes(node))
    .filter(([node, { state }]) => state === 'held' || !settled.includes(node))
    .map(([node, { state }]): [NodeName, 'held' | 'returning'] => [node, state])
    .sort(([a], [b]) => (a < b ? -1 : 1));

/**
 * Who shall hold one from now on; null = as it is. New ones are handed out only while all that are out,
 * `returning` ones included, are fewer than there may be. What is out is taken back only where it is too
 * much or of no use: a permit that moves is one that nobody can use for a while.
 */
export const nextPermits = (picture: PermitPicture): Permits | null => {
  const { candidates, floor, present } = picture;
  const most = Math.max(0, candidates.length - floor);
  const out = stillHeld(picture);
  const may = (node: NodeName): boolean => candidates.includes(node);
  const kept = out.filter(([node, state]) => state === 'held' && may(node)).slice(0, most);
  const back = out.filter(([node, state]) => state === 'returning' && may(node));
  // One that has not given it back yet may as well have it: it counts already.
  const again = back.slice(0, most - kept.length);
  const room = Math.max(0, most - out.length);
  const without = candidates.filter((node) => !out.some(([holder]) => holder === node));
  const handedOut = [...without].sort().slice(0, room);
  const held = new Set([...kept, ...again].map(([node]) => node).concat(handedOut));
  const holders: Holders = {};
  for (const node of [...out.map(([holder]) => holder), ...handedOut].sort()) {
    holders[node] = { state: held.has(node) ? 'held' : 'returning' };
  }
  return same(holders, present?.holders ?? {}) ? null : { holders };
};

const same = (a: Holders, b: Holders): boolean => {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => a[name]?.state === b[name]?.state)
  );
};
