/** `experiments/<name>/results/figures.json`: what a full run measured, committed with the code. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Figure } from './figures';
import type { Machine } from './machine';

export interface Results {
  experiment: string;
  /** Of its end, ISO 8601. */
  at: string;
  tookSeconds: number;
  machine: Machine;
  /** Load average just before and just after; a quiet machine is below 0.5 before. */
  load: { before: number; after: number };
  figures: Figure[];
  /** What the figures were drawn from, where the samples alone do not show it. */
  details?: unknown;
}

/** `experiments/`, seen from `dist/experiments/common`. */
export const EXPERIMENTS_DIRECTORY = resolve(__dirname, '../../../experiments');

export const resultsPath = (experiment: string): string =>
  join(EXPERIMENTS_DIRECTORY, experiment, 'results/figures.json');

/** Lists of numbers on one line each: thousands of samples, and still a file that can be read. */
const toText = (results: Results): string =>
  `${JSON.stringify(results, null, 2).replace(/\[[\d\s.,e+-]+\]/g, (list) => list.replace(/\s+/g, ' '))}\n`;

export function writeResults(path: string, results: Results): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, toText(results));
}

/** Null where it was never measured. */
export const readResults = (path: string): Results | null =>
  existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Results) : null;
