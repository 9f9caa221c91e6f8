/** Runs both sides in a sandbox. Needs root. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure } from '../common/figures';
import { inSandbox } from '../common/sandbox';

const ROOT = join(__dirname, '../../..');
/** Built from `peer/` by scripts/setup. */
const PEER = join(ROOT, '.tools/bin/netlink-bench-peer');

/** Why this can't run here; false where it can. */
export function cannotRun(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync(PEER) ? false : '.tools/bin/netlink-bench-peer is missing: run make setup';
}

export async function measure(smoke: boolean): Promise<Figure[]> {
  const refusal = cannotRun();
  if (refusal !== false) throw new Error(`The benchmark can't run: ${refusal}`);
  const sides = join(__dirname, 'sides.js');
  return JSON.parse(await inSandbox(sides, [PEER, smoke ? 'smoke' : 'full'])) as Figure[];
}
