/** Whether something has grown: the last quarter of the snapshots beside the second one. */
import type { Figure, Measure } from '../common/figures';
import { median } from '../common/statistics';
import type { ProcessSnapshot, Snapshot } from './watch';

/** A process that was just started still fills its caches in the first quarter. */
export const LEAST_SNAPSHOTS = 4;

function quarters<T>(all: readonly T[]): { before: T[]; after: T[] } {
  if (all.length < LEAST_SNAPSHOTS) throw new Error(`${all.length} snapshots show no growth`);
  const quarter = Math.floor(all.length / 4);
  return { before: all.slice(quarter, 2 * quarter), after: all.slice(-quarter) };
}

/** By process, in the order of their names. */
function perProcess(
  snapshots: readonly Snapshot[],
  value: (process: ProcessSnapshot) => number,
  compare: (before: number, after: number) => number,
): number[] {
  const { before, after } = quarters(snapshots);
  const typical = (of: readonly Snapshot[], name: string): number =>
    median(of.flatMap(({ processes: { [name]: one } }) => (one === undefined ? [] : [value(one)])));
  const names = Object.keys(snapshots[0]?.processes ?? {}).sort();
  return names.map((name) => compare(typical(before, name), typical(after, name)));
}

/** Starts of processes that nobody killed: each was a crash. */
const restarts = (snapshots: readonly Snapshot[]): number =>
  snapshots.slice(1).reduce((sum, { processes }, i) => {
    const former = snapshots[i]?.processes ?? {};
    return sum + Object.entries(processes).filter(([n, { pid }]) => former[n]?.pid !== pid).length;
  }, 0);

const difference = (before: number, after: number): number => after - before;
const ratio = (before: number, after: number): number => after / before;

/** Temporal proposes to continue as new at 4,096 events or 4 MiB; a repair adds some more. */
const MOST_EVENTS = 4_500;
const MOST_MB = 4.5;

/** `snapshots`: of the time in which nobody killed a process. */
export function growth(snapshots: readonly Snapshot[]): Figure[] {
  const figure = (claim: string, unit: string, atMost: number, samples: number[]): Figure => {
    const measure: Measure = 'max';
    return { claim, unit, bar: { measure, atMost }, samples, peer: null };
  };
  return [
    figure(
      'Memory of controllers and agents, last quarter ÷ second quarter of the soak',
      '×',
      1.25,
      perProcess(snapshots, ({ residentMb }) => residentMb, ratio),
    ),
    figure(
      'File descriptors of controllers and agents, last quarter − second quarter of the soak',
      'descriptors',
      4,
      perProcess(snapshots, ({ descriptors }) => descriptors, difference),
    ),
    figure(
      'Namespaces held open by them, last quarter − second quarter of the soak',
      'namespaces',
      0,
      perProcess(snapshots, ({ namespaces }) => namespaces, difference),
    ),
    figure('Restarts of processes that nobody killed', 'restarts', 0, [restarts(snapshots)]),
    figure(
      'The longest history of a workflow run',
      'events',
      MOST_EVENTS,
      snapshots.map(({ history }) => history.events),
    ),
    figure(
      'The largest history of a workflow run',
      'MB',
      MOST_MB,
      snapshots.map(({ history }) => history.bytes / 1e6),
    ),
  ];
}
