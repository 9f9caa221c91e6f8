/** What the parts of the test runner tell one another. */

/** One finished test (never a suite). */
export interface Finished {
  name: string;
  ok: boolean;
  /** The reason (may be `''`), `null` when the test ran. */
  skip: string | null;
  durationMs: number;
  /** Message and stack, `null` when the test passed. */
  error: string | null;
}

/** One test file, or one check of the static tier, after its run. */
export interface FileResult {
  /** Path below the root of the repository. */
  file: string;
  tests: Finished[];
  durationMs: number;
  /** What the file printed, for failures. */
  output: string;
}

/** A failure that no test reported: a crash, a hang, something left behind. */
export function failure(name: string, error: string): Finished {
  return { name, ok: false, skip: null, durationMs: 0, error };
}

/** A file or check that cannot run here, counted as one skipped test. */
export function skipped(file: string, why: string): FileResult {
  const test = { name: file, ok: true, skip: why, durationMs: 0, error: null };
  return { file, tests: [test], durationMs: 0, output: '' };
}
