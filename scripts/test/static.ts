/** The static tier: what the sources must satisfy without running. Each check counts as one test. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type FileResult, failure, skipped } from './results';
import { run } from './run-file';
import { root } from './tiers';

const CHECK_TIMEOUT_MS = 300_000;

export const oxlint = join(root, 'node_modules/oxlint/bin/oxlint');

export interface Check {
  name: string;
  command: readonly string[];
  /** What to do when it fails. */
  advice: string;
  /** Why it cannot run here, when it cannot. */
  skip?: string | null;
}

function bin(path: string): string[] {
  return [process.execPath, join(root, 'node_modules', path)];
}

/** Why the linter cannot run on this Node (it asks for a newer one than Aether does), or null. */
export function noOxlint(): string | null {
  const trial = spawnSync(process.execPath, [oxlint, '--version']);
  return trial.status === 0 ? null : `oxlint does not run on Node ${process.versions.node}`;
}

/** C, C++ and BPF sources of ours. */
function nativeSources(pattern: RegExp): string[] {
  return ['native', 'bpf', 'experiments', 'lab'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => pattern.test(path) && !path.split('/').includes('build'))
      .map((path) => join(folder, path)),
  );
}

export function checks(): Check[] {
  const formatted = nativeSources(/\.(c|h|cc)$/);
  return [
    { name: 'types', command: [...bin('typescript/bin/tsc'), '-b'], advice: 'fix the types' },
    {
      name: 'format',
      command: [...bin('prettier/bin/prettier.cjs'), '--check', '.'],
      advice: 'run make format',
    },
    {
      name: 'lint',
      command: [process.execPath, oxlint, '--type-aware', '--deny-warnings', '-f', 'unix'],
      advice: 'see .oxlintrc.json for the reason of a wall; make lint repeats this',
      skip: noOxlint(),
    },
    {
      name: 'format of C and C++',
      command: ['clang-format', '--dry-run', '-Werror', ...formatted],
      advice: 'run make format',
    },
    { name: 'lint of C++', command: ['scripts/native-tidy'], advice: 'see .clang-tidy' },
  ];
}

export async function runCheck(check: Check): Promise<FileResult> {
  if (check.skip != null) return skipped(check.name, check.skip);
  const ended = await run(check.command, CHECK_TIMEOUT_MS);
  const ok = ended.status === 0;
  const test = ok
    ? { name: check.name, ok, skip: null, durationMs: ended.durationMs, error: null }
    : failure(check.name, check.advice);
  return { file: check.name, tests: [test], durationMs: ended.durationMs, output: ended.output };
}
