/**
 * What has been measured so far, in a file: an audit that was broken off goes on where it was, by whole
 * rounds, if machine, kernel, programs and plan are still the same.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { CostSample, FloodSample, LookupSample } from './evidence';

export interface Rounds {
  costs: CostSample;
  floods: FloodSample;
  lookups: LookupSample;
}
export type Phase = keyof Rounds;

interface Round<P extends Phase = Phase> {
  phase: P;
  round: number;
  /** Load average after it. */
  load: number;
  samples: Rounds[P][];
}

export class Ledger {
  private readonly rounds: Round[] = [];

  /** `path` null: nothing is kept. `key`: rounds under another one are thrown away. */
  constructor(
    private readonly path: string | null,
    key: string,
  ) {
    if (path === null) return;
    const [head, ...lines] = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
    if (head === key) {
      // The last line is empty, or was cut when the audit was.
      this.rounds = lines.slice(0, -1).map((line) => JSON.parse(line) as Round);
      writeFileSync(path, [head, ...lines.slice(0, -1), ''].join('\n'));
      return;
    }
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${key}\n`);
  }

  has(phase: Phase, round: number): boolean {
    return this.rounds.some((one) => one.phase === phase && one.round === round);
  }

  add<P extends Phase>(phase: P, round: number, load: number, samples: Rounds[P][]): void {
    const added = { phase, round, load, samples } as Round;
    this.rounds.push(added);
    if (this.path !== null) appendFileSync(this.path, `${JSON.stringify(added)}\n`);
  }

  samples<P extends Phase>(phase: P): Rounds[P][] {
    return this.rounds.flatMap((one) => (one.phase === phase ? (one.samples as Rounds[P][]) : []));
  }

  loads(): number[] {
    return this.rounds.map(({ load }) => load);
  }

  /** The audit is complete: the next one begins anew. */
  close(): void {
    if (this.path !== null) rmSync(this.path);
  }
}
