/** What the test runner says to people: a line a file, each failure at once and again at the end. */
import type { FileResult, Finished } from './results';

const OUTPUT_SHOWN_LINES = 60;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
const indent = (text: string, by: string): string => text.replace(/^(?=.)/gm, by);

export function printTier(name: string, files: number, skip: string | null): void {
  console.log(`\n${name}: ${skip === null ? `${files} to run` : `skipped, ${skip}`}`);
}

/** `running`: file → when it began, in ms since the epoch. */
export function printRunning(running: ReadonlyMap<string, number>): void {
  const parts = [...running].map(([file, began]) => `${file} ${seconds(Date.now() - began)}`);
  console.log(`  … ${parts.join(', ')}`);
}

export function printFile(result: FileResult): void {
  const failed = result.tests.filter((test) => !test.ok);
  const skips = result.tests.filter((test) => test.skip !== null).length;
  const counts = `${result.tests.length - skips} tests${skips > 0 ? `, ${skips} skipped` : ''}`;
  const sign = failed.length > 0 ? '✗' : '✓';
  console.log(`  ${sign} ${result.file}  (${counts}, ${seconds(result.durationMs)})`);
  for (const test of failed) {
    console.log(`      ✗ ${test.name}\n${indent(test.error ?? '', '        ')}`);
  }
  if (failed.length === 0 || result.output.trim() === '') return;
  const lines = result.output.trimEnd().split('\n');
  console.log(`      its output, the last ${OUTPUT_SHOWN_LINES} lines at most:`);
  console.log(indent(lines.slice(-OUTPUT_SHOWN_LINES).join('\n'), '      | '));
}

/** Prints the reasons of skips, the names of failures and the closing line; true when all is well. */
export function printSummary(results: readonly FileResult[]): boolean {
  const all = results.flatMap(({ file, tests }) => tests.map((test) => ({ file, test })));
  const failed = all.filter(({ test }) => !test.ok);
  const skipped = all.filter(({ test }) => test.ok && test.skip !== null);
  const passed = all.length - failed.length - skipped.length;
  console.log('');
  for (const [reason, count] of reasons(skipped.map(({ test }) => test))) {
    console.log(`skipped ${count}: ${reason}`);
  }
  for (const { file, test } of failed) console.log(`failed: ${file}: ${test.name}`);
  console.log(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
  return failed.length === 0 && passed > 0;
}

function reasons(skipped: readonly Finished[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const test of skipped) {
    const reason =
      test.skip === null || test.skip === '' ? `no reason given: ${test.name}` : test.skip;
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return counts;
}
