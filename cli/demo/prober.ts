/** Asks a node's address from the lab's client all the time: what its users would have noticed. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Lab } from '../../lab/lab';
import { CLIENT } from '../../lab/topology';

const EVERY_MS = 20;
/** A machine at work answers a little late at times; less than this is no outage. */
const NOTICED_FROM_MS = 3 * EVERY_MS;

export class Prober {
  /** Epoch ms. */
  private readonly answers: number[] = [];
  private readonly ping: ChildProcess;

  constructor(lab: Lab, address: string) {
    const ping = ['ping', '-n', '-D', '-i', String(EVERY_MS / 1000), '-W', '1', address];
    const { argv, env } = lab.command(CLIENT, ping);
    const [file = '', ...args] = argv;
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
    this.ping = child;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const at = /^\[(\d+\.\d+)\] \d+ bytes from/.exec(line)?.[1];
      if (at !== undefined) this.answers.push(Number(at) * 1000);
    });
  }

  /** The longest silence that ended after `sinceMs`, in ms; null where none was noticed. */
  longestSilence(sinceMs: number): number | null {
    let longest = 0;
    for (let i = this.answers.length - 1; i > 0 && (this.answers[i] ?? 0) > sinceMs; i -= 1) {
      longest = Math.max(longest, (this.answers[i] ?? 0) - (this.answers[i - 1] ?? 0));
    }
    return longest > NOTICED_FROM_MS ? longest : null;
  }

  get lastAnswerMs(): number {
    return this.answers.at(-1) ?? 0;
  }

  stop(): void {
    this.ping.kill();
  }
}
