/** What a run has to say to people. */
import { median } from '../common/statistics';
import type { Recovery } from './cluster';
import type { Entry, History } from './history';
import { FAULTS, type FaultName } from './schedule';

/** One fault of a run. */
export interface Row {
  number: number;
  fault: FaultName;
  who: readonly string[];
  holdMs: number;
  /** Null: it did not heal. */
  recovery: Recovery | null;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function rowText({ number, fault, who, holdMs, recovery }: Row): string {
  const what = `${number}. ${[fault, ...who].join(' ')} for ${seconds(holdMs)}:`;
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
    const told = [healed, sick === 0 ? '' : `${sick} did not heal`].filter((text) => text !== '');
    return `${String(its.length).padStart(3)} × ${FAULTS[name].title}: ${told.join(', ')}`;
  });
}

/** A fault that is to make somebody refuse something, and who is seen to do it. */
const REFUSED_BY: Partial<Record<FaultName, Entry['kind']>> = {
  staleOwner: 'unheard',
  staleWriter: 'refused',
};

/** Faults that came and were never seen to do what they are there for: the run says nothing of them. */
export const provedNothing = (rows: readonly Row[], history: History): FaultName[] =>
  [...new Set(rows.map(({ fault }) => fault))].filter((fault) => {
    const kind = REFUSED_BY[fault];
    return kind !== undefined && !history.some((entry) => entry.kind === kind);
  });
