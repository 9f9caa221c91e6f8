/** Runs the job in a sandbox. Needs root. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure } from '../common/figures';
import { inSandbox } from '../common/sandbox';

const ROOT = join(__dirname, '../../..');
const BUILT = ['xdp_root.bpf.o', 'latency.bpf.o', 'traffic'];
/** Whether the kernel clocks its programs: the job switches it, here it is put back. */
const STATS = '/proc/sys/kernel/bpf_stats_enabled';

/** Why this can't run here; false where it can. */
export function cannotRun(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = BUILT.find((name) => !existsSync(join(ROOT, 'bpf/build', name)));
  return missing === undefined ? false : `bpf/build/${missing} is missing: run make setup`;
}

export async function measure(smoke: boolean): Promise<Figure[]> {
  const refusal = cannotRun();
  if (refusal !== false) throw new Error(`The experiment can't run: ${refusal}`);
  const before = readFileSync(STATS, 'utf8');
  try {
    const printed = await inSandbox(join(__dirname, 'job.js'), [smoke ? 'smoke' : 'full']);
    return JSON.parse(printed) as Figure[];
  } finally {
    writeFileSync(STATS, before);
  }
}
