/** A figure: what is claimed, what was measured, and whether the one bears out the other. */
import { median, summarise } from './statistics';

/** What of the samples is held against the bar; `ratio`: median of ours ÷ median of the peer's. */
export type Measure = 'median' | 'p99' | 'max' | 'ratio';

export interface Figure {
  /** One line, the same in every run: the key of the row in CLAIMS.md. */
  claim: string;
  /** Of the samples, e.g. `ms`. */
  unit: string;
  bar: { measure: Measure; atMost: number };
  /** Raw, in the order in which they were taken. */
  samples: number[];
  /** The same job done by another program, in the same run. */
  peer: { name: string; samples: number[] } | null;
}

/** What is held against the bar. */
export function valueOf({ claim, bar, samples, peer }: Figure): number {
  if (bar.measure !== 'ratio') return summarise(samples)[bar.measure];
  if (peer === null) throw new Error(`"${claim}" has no peer to be compared with`);
  return median(samples) / median(peer.samples);
}

/** Without samples nothing is met: missing evidence is a failure, not a pass. */
export const isMet = (figure: Figure): boolean => {
  const missing = figure.samples.length === 0 || figure.peer?.samples.length === 0;
  return !missing && valueOf(figure) <= figure.bar.atMost;
};

/** Three digits that count. */
export const short = (value: number): string =>
  Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));

const withUnit = (value: number, unit: string): string => `${short(value)} ${unit}`.trimEnd();

/** `12.3 ms (11 … 15, n = 20)` */
function spread(samples: readonly number[], unit: string): string {
  const { min, median: middle, max, count } = summarise(samples);
  return `${withUnit(middle, unit)} (${short(min)} … ${short(max)}, n = ${count})`;
}

/** The cells that CLAIMS.md and `make bench` show of a figure. */
export interface Shown {
  bar: string;
  measured: string;
  peer: string;
  met: 'yes' | 'no';
}

export function show(figure: Figure): Shown {
  const { bar, samples, unit, peer } = figure;
  if (samples.length === 0) return { bar: '', measured: 'nothing', peer: '', met: 'no' };
  const value = bar.measure === 'ratio' ? `${short(valueOf(figure))} ×` : null;
  const tail = bar.measure === 'median' ? null : withUnit(valueOf(figure), unit);
  const headline = value ?? (tail === null ? null : `${bar.measure} ${tail}`);
  return {
    bar: `${bar.measure} ≤ ${bar.measure === 'ratio' ? `${bar.atMost} ×` : withUnit(bar.atMost, unit)}`,
    measured: [headline, `median ${spread(samples, unit)}`]
      .filter((part) => part !== null)
      .join('; '),
    peer: peer === null ? '–' : `${peer.name}: ${spread(peer.samples, unit)}`,
    met: isMet(figure) ? 'yes' : 'no',
  };
}
