/** The static tier: what the sources must satisfy without running. Each check counts as one test. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type FileResult, failure } from './results';
import { run } from './run-file';
import { root } from './tiers';

const CHECK_TIMEOUT_MS = 300_000;

export interface Check {
  name: string;
  command: readonly string[];
  /** What to do when it fails. */
  advice: string;
}

function bin(path: string): string[] {
  return [process.execPath, join(root, 'node_modules', path)];
}

/** C, C++ and BPF sources of ours. */
function nativeSources(pattern: RegExp): string[] {
  return ['native', 'bpf'].flatMap((folder) =>
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
      command: [...bin('oxlint/bin/oxlint'), '--type-aware', '--deny-warnings', '-f', 'unix'],
      advice: 'see .oxlintrc.json for the reason of a wall; make lint repeats this',
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
  const ended = await run(check.command, CHECK_TIMEOUT_MS);
  const ok = ended.status === 0;
  const test = ok
    ? { name: check.name, ok, skip: null, durationMs: ended.durationMs, error: null }
    : failure(check.name, check.advice);
  return { file: check.name, tests: [test], durationMs: ended.durationMs, output: ended.output };
}
