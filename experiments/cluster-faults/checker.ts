/**
 * Whether a history keeps what Aether promises, whatever goes wrong. It knows nothing of the lab, and every
 * rule is one that a run could break (checker.test.ts has a history that breaks each).
 */
import type { OwnerFence } from '../../core/model/edge-spec';
import type { Apply, Entry, History } from './history';

export const INVARIANTS = {
  tokens: 'accepted tokens at an edge never go down',
  stale: 'no command of a stale owner takes effect',
  applied: 'every accepted spec is applied or reported',
  withdrawn: 'no prefix is withdrawn because the control plane failed',
  heals: 'everything heals without a person',
  crashes: 'no process ends by itself',
} as const;
export type Invariant = keyof typeof INVARIANTS;

export interface Violation {
  invariant: Invariant;
  atMs: number;
  /** Number of the fault that was under way, or had been last; 0: before the first. */
  fault: number;
  what: string;
}

/** Below 0: the first is older. A new incarnation of the cluster outranks all of the former. */
const compare = (a: OwnerFence, b: OwnerFence): number =>
  a.clusterIncarnation - b.clusterIncarnation || a.ownerRevision - b.ownerRevision;

const shown = ({ clusterIncarnation, ownerRevision }: OwnerFence): string =>
  `${clusterIncarnation}/${ownerRevision}`;

type Finding = Omit<Violation, 'fault'>;

export function check(history: History): Violation[] {
  const found = [
    ...tokens(history),
    ...obeyed(history),
    ...written(history),
    ...stale(history),
    ...applied(history),
    ...withdrawn(history),
    ...unhealed(history),
  ];
  const begins = history.flatMap((entry) =>
    entry.kind === 'fault' && entry.phase === 'begins' ? [entry] : [],
  );
  return found
    .map((finding) => ({
      ...finding,
      fault: begins.filter(({ atMs }) => atMs <= finding.atMs).at(-1)?.number ?? 0,
    }))
    .sort((a, b) => a.atMs - b.atMs);
}

const edgesOf = (history: History): string[] => [
  ...new Set(history.flatMap((entry) => ('edge' in entry ? [entry.edge] : []))),
];

function* tokens(history: History): Generator<Finding> {
  for (const edge of edgesOf(history)) {
    let highest: OwnerFence | null = null;
    for (const entry of history) {
      if (entry.kind !== 'accepted' || entry.edge !== edge) continue;
      if (highest !== null && compare(entry.fence, highest) < 0) {
        const what = `${edge} took a spec under ${shown(entry.fence)} after one under ${shown(highest)}`;
        yield { invariant: 'tokens', atMs: entry.atMs, what };
      }
      if (highest === null || compare(entry.fence, highest) > 0) highest = entry.fence;
    }
  }
}

/** Whom an edge obeys has a higher token each time, and one token is one controller's. */
function* obeyed(history: History): Generator<Finding> {
  const last = new Map<string, { controller: string; fence: OwnerFence }>();
  for (const entry of history) {
    if (entry.kind !== 'obeys') continue;
    const { edge, controller, fence, atMs } = entry;
    const before = last.get(edge);
    last.set(edge, { controller, fence });
    if (before === undefined) continue;
    const order = compare(fence, before.fence);
    if (order > 0 || (order === 0 && controller === before.controller)) continue;
    const what = `${edge} obeys ${controller} under ${shown(fence)} after ${before.controller} under ${shown(before.fence)}`;
    yield { invariant: 'tokens', atMs, what };
  }
}

/**
 * What an edge says that it did not hear was older than what it holds; what it had said it holds outranks all
 * that it takes later; and revisions of one incarnation only grow.
 */
function* stale(history: History): Generator<Finding> {
  const held = new Map<string, OwnerFence>();
  const last = new Map<string, { revision: number; fence: OwnerFence }>();
  for (const entry of history) {
    if (entry.kind === 'unheard') {
      if (compare(entry.heard, entry.held) >= 0) {
        const what = `${entry.edge} did not hear ${shown(entry.heard)}, holding ${shown(entry.held)} only`;
        yield { invariant: 'stale', atMs: entry.atMs, what };
      }
      held.set(entry.edge, entry.held);
    } else if (entry.kind === 'accepted') {
      const { edge, revision, fence, atMs } = entry;
      const known = held.get(edge);
      if (known !== undefined && compare(fence, known) < 0) {
        const what = `${edge} obeyed ${shown(fence)} when it held ${shown(known)}`;
        yield { invariant: 'stale', atMs, what };
      }
      const before = last.get(edge);
      const same = before?.fence.clusterIncarnation === fence.clusterIncarnation;
      if (before !== undefined && same && revision < before.revision) {
        const what = `${edge} went back from revision ${before.revision} to ${revision}`;
        yield { invariant: 'stale', atMs, what };
      }
      last.set(edge, { revision, fence });
    }
  }
}

function* written(history: History): Generator<Finding> {
  for (const entry of history) {
    if (entry.kind !== 'wrote' || entry.revision <= entry.token) continue;
    const { controller, revision, token, atMs } = entry;
    const what = `${controller} wrote at ${revision} what others own since ${token}`;
    yield { invariant: 'stale', atMs, what };
  }
}

/** A wish that was answered so long before another one began was written before it, or never will be. */
const UNKNOWN_FOR_MS = 60_000;

/**
 * When all has healed, the kernel of an edge shows the newest accepted wish; or one whose fate the client
 * was told to be unknown, not long before.
 */
function* applied(history: History): Generator<Finding> {
  const applies: (Apply & { atMs: number })[] = [];
  for (const entry of history) {
    if (entry.kind === 'apply') applies.push(entry);
    if (entry.kind !== 'found') continue;
    const its = applies.filter(({ edge }) => edge === entry.edge);
    const newest = its
      .filter(({ outcome }) => outcome === 'accepted')
      .reduce<(Apply & { atMs: number }) | null>(
        (a, b) => (a === null || b.revision > a.revision ? b : a),
        null,
      );
    if (newest === null) continue;
    const sinceMs = newest.beganMs - UNKNOWN_FOR_MS;
    const allowed = its.filter(
      (one) => one === newest || (one.outcome === 'unknown' && one.atMs > sinceMs),
    );
    if (allowed.some(({ marker }) => marker === entry.marker)) continue;
    const acceptedMs = entry.atMs - newest.atMs;
    const what =
      `${entry.edge} shows ${entry.marker}; revision ${newest.revision}, accepted by ${newest.controller} ` +
      `${acceptedMs} ms before, says ${newest.marker}`;
    yield { invariant: 'applied', atMs: entry.atMs, what };
  }
}

function* withdrawn(history: History): Generator<Finding> {
  for (const entry of history) {
    if (entry.kind !== 'path' || entry.present) continue;
    const what = `${entry.prefix} was withdrawn, says ${entry.via}`;
    yield { invariant: 'withdrawn', atMs: entry.atMs, what };
  }
}

function* unhealed(history: History): Generator<Finding> {
  const open = new Map<number, Entry>();
  for (const entry of history) {
    if (entry.kind === 'fault' && entry.phase === 'begins') open.set(entry.number, entry);
    if (entry.kind === 'crashed') {
      yield { invariant: 'crashes', atMs: entry.atMs, what: `${entry.process} ended by itself` };
    }
    if (entry.kind !== 'healed') continue;
    open.delete(entry.number);
    if (entry.recoveryMs !== null) continue;
    yield { invariant: 'heals', atMs: entry.atMs, what: `not in time: ${entry.missing}` };
  }
  for (const { atMs } of open.values()) {
    yield { invariant: 'heals', atMs, what: 'nobody saw it heal' };
  }
}
