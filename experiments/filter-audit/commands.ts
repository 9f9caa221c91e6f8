/** Tools of the machine, run to their end within a time; what they say is told when they fail. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const SAID_SHOWN = 2000;
const DEFAULT_TIMEOUT_MS = 30_000;

export class CommandError extends Error {
  constructor(argv: readonly string[], how: string, said: string) {
    super(`${argv.join(' ')} ${how}: ${said.trim().slice(0, SAID_SHOWN)}`);
    this.name = 'CommandError';
  }
}

/** What it prints. */
export function run(argv: readonly string[], input = ''): string {
  const [program = '', ...args] = argv;
  const ended = spawnSync(program, args, { input, encoding: 'utf8', timeout: DEFAULT_TIMEOUT_MS });
  if (ended.status === 0) return ended.stdout;
  const how = ended.error?.message ?? `ended with ${String(ended.status ?? ended.signal)}`;
  throw new CommandError(argv, how, ended.stderr ?? '');
}

export const has = (program: string): boolean =>
  spawnSync('sh', ['-c', 'command -v "$0"', program]).status === 0;

export interface Timed {
  wallS: number;
  /** User and system time, of its children too. */
  cpuS: number;
}

/** How long a command takes, and what of that on a core. Its standard input comes from a file. */
export async function timed(
  argv: readonly string[],
  inputPath: string,
  timeoutS: number,
): Promise<Timed> {
  const script = `TIMEFORMAT='%R %U %S'; time timeout --foreground -k 5 ${timeoutS} "$@" <"$0"`;
  const child = spawn('bash', ['-c', script, inputPath, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit') as Promise<[status: number | null]>;
  const [[status], said] = await Promise.all([ended, text(child.stderr), text(child.stdout)]);
  const lines = said.trim().split('\n');
  const [real = NaN, user = NaN, system = NaN] = (lines.at(-1) ?? '').split(' ').map(Number);
  if (status === 124) throw new CommandError(argv, `took more than ${timeoutS} s`, '');
  if (status !== 0)
    throw new CommandError(argv, `ended with ${String(status)}`, lines.slice(0, -1).join('\n'));
  return { wallS: real, cpuS: user + system };
}
