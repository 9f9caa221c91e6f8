/** Which test file belongs to which tier, and what each tier needs of the machine. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Manner } from './run-file';

export const root = join(__dirname, '../../..');

export interface Tier {
  name: string;
  takes: (file: string) => boolean;
  /** Files at once. */
  atOnce: number;
  timeoutMs: number;
  /** What must hold for the tier to run; each gives the reason why not, or null. */
  needs: (() => string | null)[];
  /** Run in namespaces of its own whenever we may make them. */
  sandboxed: boolean;
}

const cores = availableParallelism();

function server(name: string) {
  return () =>
    existsSync(join(root, '.tools/bin', name))
      ? null
      : `.tools/bin/${name} is missing: run make setup`;
}

function addon(): string | null {
  const built = existsSync(join(root, 'native/build/Release'));
  return built ? null : 'the addon is not built: run make setup';
}

let sandboxRefusal: string | null | undefined;
/** Why this machine gives us no namespaces of our own, or null when it does. */
export function noSandbox(): string | null {
  if (sandboxRefusal !== undefined) return sandboxRefusal;
  if (process.getuid?.() !== 0) return (sandboxRefusal = 'needs root: run sudo make test');
  const trial = spawnSync(join(root, 'scripts/test/sandbox'), ['/dev/null', 'true']);
  const said = trial.stderr.toString().trim().split('\n').at(-1);
  return (sandboxRefusal = trial.status === 0 ? null : `no namespaces of its own: ${said}`);
}

function machine(): string | null {
  const found = spawnSync('sh', ['-c', 'command -v qemu-system-x86_64']).status === 0;
  if (!found) return 'qemu-system-x86_64 is not installed';
  return existsSync(join(root, '.tools/vm/release'))
    ? null
    : 'no kernel in .tools/vm: run make setup, .tools/log/vm.log says why there is none';
}

/** `x.<suffix>.test.ts`, or `x.test.ts` for null. */
function suffixed(suffix: string | null): (file: string) => boolean {
  return (file) => (/\.([a-z]+)\.test\.ts$/.exec(file)?.[1] ?? null) === suffix;
}

export const tiers: readonly Tier[] = [
  {
    name: 'pure',
    // `x.prop.test.ts` holds properties, apart for their length.
    takes: (file) => suffixed(null)(file) || suffixed('prop')(file),
    atOnce: cores,
    timeoutMs: 120_000,
    needs: [],
    sandboxed: false,
  },
  {
    name: 'etcd',
    takes: suffixed('etcd'),
    atOnce: cores,
    timeoutMs: 180_000,
    needs: [server('etcd')],
    sandboxed: true,
  },
  {
    name: 'temporal',
    takes: suffixed('temporal'),
    atOnce: cores,
    timeoutMs: 180_000,
    needs: [server('temporal')],
    sandboxed: true,
  },
  {
    name: 'netns',
    takes: suffixed('netns'),
    atOnce: cores,
    timeoutMs: 240_000,
    needs: [noSandbox, addon],
    sandboxed: true,
  },
  {
    name: 'vm',
    takes: suffixed('vm'),
    atOnce: 1,
    timeoutMs: 600_000,
    needs: [machine, addon],
    sandboxed: true,
  },
];

/** How the files of a tier run on this machine. */
export function mannerOf(tier: Tier): Manner {
  return { timeoutMs: tier.timeoutMs, sandboxed: tier.sandboxed && noSandbox() === null };
}

/** Every test file of the sources, never of `dist`, where those of deleted sources linger. */
export function testFiles(): string[] {
  const skipped = new Set(['node_modules', 'dist', '.git', '.tools', 'build']);
  const below = (folder: string): string[] =>
    readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return skipped.has(entry.name) ? [] : below(path);
      return entry.name.endsWith('.test.ts') ? [path] : [];
    });
  return below('.').sort();
}
