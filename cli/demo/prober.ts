/** Asks an address from the lab's client all the time: what its users would have noticed. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Lab } from '../../lab/lab';
import { CLIENT } from '../../lab/topology';

const EVERY_MS = 20;
/** A machine at work answers a little late at times; less than so many intervals is no outage. */
const NOTICED_FROM = 3;

interface Answer {
  /** Epoch ms. */
  atMs: number;
  /** Of its echo request, counted from 1. */
  sequence: number;
}

export class Prober {
  private readonly answers: Answer[] = [];
  private readonly ping: ChildProcess;

  constructor(
    lab: Lab,
    address: string,
    private readonly everyMs: number = EVERY_MS,
  ) {
    const ping = ['ping', '-n', '-D', '-i', String(everyMs / 1000), '-W', '1', address];
    const { argv, env } = lab.command(CLIENT, ping);
    const [file = '', ...args] = argv;
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
    this.ping = child;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [, at, sequence] = /^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+)/.exec(line) ?? [];
      if (at !== undefined) {
        this.answers.push({ atMs: Number(at) * 1000, sequence: Number(sequence) });
      }
    });
  }

  /** The longest silence that ended after `sinceMs`, in ms; null where none was noticed. */
  longestSilence(sinceMs: number): number | null {
    let longest = 0;
    for (let i = this.answers.length - 1; i > 0; i -= 1) {
      const [before, after] = [this.answers[i - 1]?.atMs ?? 0, this.answers[i]?.atMs ?? 0];
      if (after <= sinceMs) break;
      longest = Math.max(longest, after - before);
    }
    return longest > NOTICED_FROM * this.everyMs ? longest : null;
  }

  /** How many pings after `sinceMs` were never answered, the last one answered counted as the end. */
  lost(sinceMs: number): number {
    const since = this.answers.filter(({ atMs }) => atMs > sinceMs);
    const [first, last] = [since[0], since.at(-1)];
    if (first === undefined || last === undefined) return 0;
    return last.sequence - first.sequence + 1 - since.length;
  }

  get lastAnswerMs(): number {
    return this.answers.at(-1)?.atMs ?? 0;
  }

  stop(): void {
    this.ping.kill();
  }
}
