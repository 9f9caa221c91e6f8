/** What a run has to say to people. */
import { shardOf } from '../../core/ring/shard';
import { median } from '../common/statistics';
import type { Recovery } from './cluster';
import type { Entry, History } from './history';
import { FAULTS, type FaultName, type Planned, feedOf } from './schedule';

/** One fault of a run. */
export interface Row extends Planned {
  number: number;
  /** Whether what it is there to have refused was; null: it is there for something else. */
  refused: boolean | null;
  /** Null: it did not heal. */
  recovery: Recovery | null;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function rowText({ number, fault, who, holdMs, refused, recovery }: Row): string {
  const idle = refused === false ? ', nothing of it refused' : '';
  const what = `${number}. ${[fault, ...who].join(' ')} for ${seconds(holdMs)}${idle}:`;
  if (recovery === null) return `${what} did not heal`;
  const { reachMs, acceptedMs, appliedMs, agreedMs } = recovery;
  return `${what} well after ${seconds(agreedMs)} (reached ${seconds(reachMs)}, accepted ${seconds(acceptedMs)}, applied ${seconds(appliedMs)})`;
}

/** Each kind of fault, how often it came, and its recoveries: median, least and most. */
export function report(rows: readonly Row[]): string[] {
  const names = [...new Set(rows.map(({ fault }) => fault))];
  return names.map((name) => {
    const its = rows.filter(({ fault }) => fault === name);
    const took = its.flatMap(({ recovery }) => recovery?.agreedMs ?? []);
    const sick = its.length - took.length;
    const [least, most] = [Math.min(...took), Math.max(...took)];
    const healed =
      took.length === 0
        ? ''
        : `well after ${seconds(median(took))} (${seconds(least)} … ${seconds(most)})`;
    const idle = its.filter(({ refused }) => refused === false).length;
    const told = [
      healed,
      sick === 0 ? '' : `${sick} did not heal`,
      idle === 0 ? '' : `${idle} had nothing refused`,
    ].filter((text) => text !== '');
    return `${String(its.length).padStart(3)} × ${FAULTS[name].title}: ${told.join(', ')}`;
  });
}

/** Faults that are to make somebody refuse something, and what shows it: a command at that edge, a write of that shard. */
const REFUSAL: Partial<Record<FaultName, (planned: Planned, entry: Entry) => boolean>> = {
  staleOwner: ({ who }, entry) => entry.kind === 'unheard' && entry.edge === who[1],
  staleWriter: (planned, entry) =>
    entry.kind === 'refused' && entry.shard === shardOf(feedOf(planned)),
};

/** By what was seen from the fault's beginning to its end, and by nothing else. Null: nothing is to be refused. */
export function wasRefused(planned: Planned, during: History): boolean | null {
  const shows = REFUSAL[planned.fault];
  return shows === undefined ? null : during.some((entry) => shows(planned, entry));
}

/** Kinds of faults that came and never once did what they are there for: the run says nothing of them. */
export const provedNothing = (rows: readonly Row[]): FaultName[] =>
  [...new Set(rows.map(({ fault }) => fault))].filter((fault) => {
    const its = rows.filter((row) => row.fault === fault);
    return its.every(({ refused }) => refused === false);
  });
