/** Runs `audit.js` in its sandbox, and hands over what it has seen. Needs root and two cores. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { machine } from '../common/machine';
import { has } from './commands';
import type { Evidence } from './evidence';
import { LEGIT } from './legit';
import { RECEIVER_CPU } from './topology';
import type { Plan } from './plan';

const ROOT = join(__dirname, '../../..');
const SANDBOX = join(ROOT, 'experiments/filter-audit/sandbox');
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
const INTERRUPTED_STATUS = 130;
/** Exit status of `sandbox`. */
const NO_KERNEL_THREADS = 3;

/** Why this can't run here; false where it can. */
export function cannotRun(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  if (availableParallelism() < 2) return 'needs two cores: one floods, one receives';
  if (!existsSync(LEGIT)) return '.tools/bin/filter-audit-legit is missing: run make setup';
  const absent = ['ip', 'bridge', 'ethtool', 'bpftool', 'chrt', 'taskset', 'nsenter'].filter(
    (program) => !has(program),
  );
  return absent.length > 0 ? `${absent.join(', ')} not installed: run make setup` : false;
}

/** `ledger`: a file by which an audit that was broken off goes on; null = it begins anew. */
export async function measure(plan: Plan['name'], ledger: string | null): Promise<Evidence> {
  const refusal = cannotRun();
  if (refusal !== false) throw new Error(`The audit can't run: ${refusal}`);
  const scratch = mkdtempSync(join(tmpdir(), 'filter-audit-'));
  try {
    const out = join(scratch, 'evidence.json');
    const script = [process.execPath, '--enable-source-maps', join(__dirname, 'audit.js')];
    const argv = ['taskset', '-c', String(RECEIVER_CPU), ...script, plan, out];
    const child = spawn(SANDBOX, [...argv, ...(ledger === null ? [] : [ledger])], {
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    });
    // What the sandbox holds goes with its processes; what is left to do is to take the scratch away.
    const interrupt = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      rmSync(scratch, { recursive: true, force: true });
      process.exit(INTERRUPTED_STATUS);
    };
    for (const signal of SIGNALS) process.on(signal, interrupt);
    const [status] = (await once(child, 'exit')) as [number | null];
    for (const signal of SIGNALS) process.off(signal, interrupt);
    if (status === NO_KERNEL_THREADS) throw new Error('No kernel thread can be seen from here');
    if (status !== 0) throw new Error(`The audit ended with ${String(status)}: see above`);
    const evidence = JSON.parse(readFileSync(out, 'utf8')) as Evidence;
    // The audit sees but the core it is bound to.
    return { ...evidence, environment: { ...evidence.environment, machine: machine() } };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
