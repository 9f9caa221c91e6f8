/** The files of the repository, as the tidy tests read them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(__dirname, '../../..');

const unread = new Set(['node_modules', 'dist', '.git', '.tools', 'build', 'results']);

/** Every file that git would keep, as a path below the root. Build outputs are left out by name. */
export const allFiles: readonly string[] = walk('.').sort();

function walk(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return unread.has(entry.name) ? [] : walk(path);
    return entry.isFile() && !path.endsWith('.log') ? [path] : [];
  });
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** The files whose name ends so. */
export function ending(...suffixes: string[]): string[] {
  return allFiles.filter((path) => suffixes.some((suffix) => path.endsWith(suffix)));
}

export function isTest(path: string): boolean {
  return /\.test\.ts$|(^|\/)testing(\.ts$|\/)/.test(path);
}

export interface Import {
  /** As written between the quotes. */
  from: string;
  /** `import type`, or every name in it is a `type`: nothing of it is left in the JavaScript. */
  typeOnly: boolean;
  line: number;
}

const statement =
  /^(?:import|export)\s+(type\s)?([^;'"]*?\sfrom\s+)?['"]([^'"]+)['"]|\b(?:import|require)\(\s*['"]([^'"]+)['"]\s*\)/gm;

/** The imports, re-exports and requires of a source; those in comments are left out. */
export function importsOf(source: string): Import[] {
  const code = source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, (comment) =>
    comment.replace(/[^\n]/g, ' '),
  );
  return [...code.matchAll(statement)].map((match) => {
    const names = /\{([^}]*)\}/.exec(match[2] ?? '')?.[1]?.split(',') ?? null;
    const inline =
      names !== null &&
      !/^\s*[\w*]/.test(match[2] ?? '') &&
      names.every((name) => /^\s*(type\s.*)?$/s.test(name));
    return {
      from: match[3] ?? match[4] ?? '',
      typeOnly: match[1] !== undefined || inline,
      line: code.slice(0, match.index).split('\n').length,
    };
  });
}

/** Fails with one objection a line. */
export function none(objections: readonly string[], advice = ''): void {
  assert.ok(objections.length === 0, [advice, ...objections].join('\n'));
}
