/**
 * Runs both sides in namespaces of their own, so that the machine's interfaces neither disturb nor are
 * disturbed, and sees to it that they leave nothing there. Needs root.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Figure } from '../common/figures';

const ROOT = join(__dirname, '../../..');
/** Built from `peer/` by scripts/setup. */
const PEER = join(ROOT, '.tools/bin/netlink-bench-peer');
const LEFTOVERS_SHOWN = 500;

/** Why this can't run here; false where it can. */
export function cannotRun(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync(PEER) ? false : '.tools/bin/netlink-bench-peer is missing: run make setup';
}

export async function measure(smoke: boolean): Promise<Figure[]> {
  const refusal = cannotRun();
  if (refusal !== false) throw new Error(`The benchmark can't run: ${refusal}`);
  const scratch = mkdtempSync(join(tmpdir(), 'netlink-bench-'));
  try {
    const left = join(scratch, 'left');
    const sides = [process.execPath, join(__dirname, 'sides.js'), PEER, smoke ? 'smoke' : 'full'];
    const child = spawn(join(ROOT, 'scripts/test/sandbox'), [left, ...sides], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit') as Promise<[status: number | null]>;
    const [printed, [status]] = await Promise.all([text(child.stdout), ended]);
    if (status !== 0) throw new Error(`The benchmark ended with ${String(status)}: see above`);
    const leftovers = readFileSync(left, 'utf8');
    if (leftovers !== '') throw new Error(`Left behind: ${leftovers.slice(0, LEFTOVERS_SHOWN)}`);
    return JSON.parse(printed) as Figure[];
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
