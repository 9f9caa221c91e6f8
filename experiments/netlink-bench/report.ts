/** Samples, their medians and spread, and the machine they were taken on. */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';

export interface Spread {
  median: number;
  min: number;
  max: number;
}

const round = (value: number): number => Math.round(value * 1000) / 1000;

export function spreadOf(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? NaN;
  return { median: round(at(0.5)), min: round(at(0)), max: round(at(1)) };
}

export interface Row {
  what: string;
  unit: string;
  ours: Spread;
  peer: Spread;
  /** Of neighbouring samples, ours ÷ peer. */
  ratio: Spread;
  limit: number;
  samples: { ours: number[]; peer: number[] };
}

export function row(
  what: string,
  unit: string,
  limit: number,
  ours: readonly number[],
  peer: readonly number[],
): Row {
  const ratios = ours.map((value, i) => value / (peer[i] ?? NaN));
  return {
    what,
    unit,
    ours: spreadOf(ours),
    peer: spreadOf(peer),
    ratio: spreadOf(ratios),
    limit,
    samples: { ours: ours.map(round), peer: peer.map(round) },
  };
}

export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    go: execFileSync('go', ['env', 'GOVERSION'], { encoding: 'utf8' }).trim(),
  };
}

export const load = (): number[] => loadavg().map(round);

const show = ({ median, min, max }: Spread): string => `${median} (${min} … ${max})`;

export function print(rows: readonly Row[]): void {
  for (const { what, unit, ours, peer, ratio, limit } of rows) {
    const verdict = ratio.median <= limit ? 'holds' : 'DOES NOT HOLD';
    console.log(`${what}\n  ours  ${show(ours)} ${unit}\n  peer  ${show(peer)} ${unit}`);
    console.log(`  ratio ${show(ratio)}, claimed ≤ ${limit}: ${verdict}`);
  }
}
