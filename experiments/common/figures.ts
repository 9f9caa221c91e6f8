/** A figure: what is claimed, what was measured, and whether the one bears out the other. */
import { median, summarise } from './statistics';

/** What of the samples is held against the bar; `ratio`: the median of ours ÷ the peer's. */
export type Measure = 'median' | 'p99' | 'max' | 'ratio';

export interface Figure {
  /** One line, the same in every full run: the key of the row in CLAIMS.md. */
  claim: string;
  /** Of the samples, e.g. `ms`. */
  unit: string;
  bar: { measure: Measure; atMost: number };
  /** Raw, in the order in which they were taken. */
  samples: number[];
  /** The same job done by another program, in turns with ours: sample beside sample. */
  peer: { name: string; samples: number[] } | null;
}

/** Ours ÷ the peer's, each pair taken one after the other, so that a drift of the machine cancels. */
export function ratios({ claim, samples, peer }: Figure): number[] {
  if (peer?.samples.length !== samples.length) {
    throw new Error(
      `"${claim}": ${samples.length} samples, ${peer?.samples.length ?? 0} of a peer`,
    );
  }
  return samples.map((ours, i) => ours / (peer.samples[i] ?? NaN));
}

/** What is held against the bar. */
export const valueOf = (figure: Figure): number =>
  figure.bar.measure === 'ratio'
    ? median(ratios(figure))
    : summarise(figure.samples)[figure.bar.measure];

export const isMet = (figure: Figure): boolean => valueOf(figure) <= figure.bar.atMost;

/** Three digits that count. */
const short = (value: number): string =>
  Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));

/** `12.3 ms (11 … 15)` */
function spread(samples: readonly number[], unit: string): string {
  if (samples.length === 1) return `${short(median(samples))} ${unit}`;
  const { min, median: middle, max } = summarise(samples);
  return `${short(middle)} ${unit} (${short(min)} … ${short(max)})`;
}

/** The cells that CLAIMS.md and `make bench` show of a figure. */
export interface Shown {
  bar: string;
  /** What is held against the bar. */
  measured: string;
  /** Medians, in brackets the least and the greatest. */
  ours: string;
  peer: string;
  met: string;
}

export function show(figure: Figure): Shown {
  const { bar, samples, peer } = figure;
  const unit = bar.measure === 'ratio' ? '×' : figure.unit;
  return {
    bar: `${bar.measure} ≤ ${bar.atMost} ${unit}`,
    measured: `${short(valueOf(figure))} ${unit}`,
    ours: `${spread(samples, figure.unit)}, n = ${samples.length}`,
    peer: peer === null ? '' : `${peer.name}: ${spread(peer.samples, figure.unit)}`,
    met: isMet(figure) ? 'yes' : 'no',
  };
}

/** A figure for a terminal: its claim, and below what was asked and what was measured. */
export function lineOf(figure: Figure): string {
  const { bar, measured, ours, peer, met } = show(figure);
  const verdict = met === 'yes' ? '✔' : '✘';
  return `${verdict} ${figure.claim}\n    ${bar}: ${measured}; ${ours}${peer && `; ${peer}`}`;
}
