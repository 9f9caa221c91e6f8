/** A part of an experiment in namespaces of its own, so that it neither disturbs nor is disturbed. Needs root. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const SANDBOX = join(__dirname, '../../../scripts/test/sandbox');
const LEFTOVERS_SHOWN = 500;

/** What the script printed. Rejects where it failed, and where it left something behind. */
export async function inSandbox(
  script: string,
  argv: readonly string[],
  nodeOptions: readonly string[] = [],
): Promise<string> {
  const scratch = mkdtempSync(join(tmpdir(), 'aether-experiment-'));
  try {
    const left = join(scratch, 'left');
    const child = spawn(SANDBOX, [left, process.execPath, ...nodeOptions, script, ...argv], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit') as Promise<[status: number | null]>;
    const [printed, [status]] = await Promise.all([text(child.stdout), ended]);
    if (status !== 0) throw new Error(`The experiment ended with ${String(status)}: see above`);
    const leftovers = readFileSync(left, 'utf8');
    if (leftovers !== '') throw new Error(`Left behind: ${leftovers.slice(0, LEFTOVERS_SHOWN)}`);
    return printed;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
