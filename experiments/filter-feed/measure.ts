/** Both sides in turns on the same files, see README.md. */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Figure } from '../common/figures';
import type { Answer } from './job';

const PEER_NAME = 'Go net/netip';
/** Built from `peer/` by scripts/setup. */
const PEER = join(__dirname, '../../..', '.tools/bin/filter-feed-peer');

const SIZES = {
  full: { lines: 1_000_000, large: 10_000_000, samples: 7 },
  smoke: { lines: 20_000, large: 50_000, samples: 1 },
};
type Sizes = (typeof SIZES)['full'];

/** Why this can't run here; false where it can. */
export const cannotRun = (): string | false =>
  existsSync(PEER) ? false : '.tools/bin/filter-feed-peer is missing: run make setup';

/** Numbers below 2^32 that look as if drawn by lot, the same each time. */
function* drawn(): Generator<number, never> {
  for (let state = 1; ;) yield (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
}

const dotted = (n: number): string =>
  `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
const groups = (n: number): string => `${(n >>> 16).toString(16)}:${(n & 0xffff).toString(16)}`;

/** One line in a thousand is a comment, one in twenty a prefix with its host bits, the rest addresses. */
function lineOf(i: number, family: 4 | 6, numbers: Iterator<number, never>): string {
  if (i % 1000 === 0) return '# a comment';
  const next = (): number => numbers.next().value;
  const address =
    family === 4
      ? dotted(next())
      : `2001:${(next() >>> 20).toString(16)}:${groups(next())}:${groups(next())}:${groups(next())}`;
  return i % 20 === 0 ? `${address}/${family * 6}` : address;
}

const PIECE = 100_000;

function writeFeed(path: string, lines: number, family: 4 | 6): void {
  const numbers = drawn();
  const file = openSync(path, 'w');
  for (let start = 0; start < lines; start += PIECE) {
    const count = Math.min(PIECE, lines - start);
    const piece = Array.from({ length: count }, (_, i) => lineOf(start + i, family, numbers));
    writeSync(file, `${piece.join('\n')}\n`);
  }
  closeSync(file);
}

interface Answers {
  ours: Answer[];
  peer: Answer[];
}

const ask = (command: string, args: readonly string[]): Answer =>
  JSON.parse(execFileSync(command, args, { encoding: 'utf8' })) as Answer;

/** Both on one file, so often, the one that goes first in turns. */
function sides(file: string, samples: number): Answers {
  const answers: Answers = { ours: [], peer: [] };
  const jobs = [
    () => answers.ours.push(ask(process.execPath, [join(__dirname, 'job.js'), file])),
    () => answers.peer.push(ask(PEER, [file])),
  ];
  for (let round = 0; round < samples; round++) {
    for (const job of round % 2 === 0 ? jobs : [...jobs].reverse()) job();
  }
  const results = [...answers.ours, ...answers.peer].map((one) => `${one.count} ${one.sha256}`);
  if (new Set(results).size !== 1) throw new Error(`Not the same sets: ${results.join(', ')}`);
  return answers;
}

function figure(
  claim: string,
  { ours, peer }: Answers,
  field: 'parseMs' | 'normaliseMs' | 'packMs' | 'peakMb',
  atMost: number,
): Figure {
  const of = (side: Answer[]): number[] => side.map((answer) => answer[field]);
  return {
    claim,
    unit: field === 'peakMb' ? 'MB' : 'ms',
    bar: { measure: 'median', atMost },
    samples: of(ours),
    peer: { name: PEER_NAME, samples: of(peer) },
  };
}

function take(directory: string, { lines, large, samples }: Sizes): Figure[] {
  const feed = (family: 4 | 6, count: number, times: number): Answers => {
    const path = join(directory, `${family}-${count}.txt`);
    writeFeed(path, count, family);
    const answers = sides(path, times);
    rmSync(path);
    return answers;
  };
  const v4 = feed(4, lines, samples);
  const v6 = feed(6, lines, samples);
  const many = feed(4, large, 1);
  const build: Figure = {
    claim: `Building the image that packets are looked up in, of ${lines} IPv4 prefixes: CPU time`,
    unit: 'ms',
    bar: { measure: 'median', atMost: 1000 },
    samples: v4.ours.map(({ buildMs = NaN }) => buildMs),
    peer: null,
  };
  return [
    figure(`A text feed of ${lines} IPv4 lines → a normalised set: CPU time`, v4, 'parseMs', 1000),
    figure(`A text feed of ${lines} IPv6 lines → a normalised set: CPU time`, v6, 'parseMs', 1000),
    figure(`Normalising ${lines} shuffled IPv4 prefixes: CPU time`, v4, 'normaliseMs', 200),
    figure(`Packing ${lines} IPv4 prefixes, hash included: CPU time`, v4, 'packMs', 150),
    build,
    figure(
      `A text feed of ${large} IPv4 lines → a normalised set: peak memory`,
      many,
      'peakMb',
      1024,
    ),
  ];
}

export function measure(smoke: boolean): Promise<Figure[]> {
  const refusal = cannotRun();
  if (refusal !== false) throw new Error(`The benchmark can't run: ${refusal}`);
  const directory = mkdtempSync(join(tmpdir(), 'filter-feed-'));
  try {
    return Promise.resolve(take(directory, smoke ? SIZES.smoke : SIZES.full));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
