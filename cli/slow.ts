/** Silence is told: whoever waits sees for what, on standard error, where it never mixes with results. */

/** A person begins to wonder. */
const SLOW_MS = 2_000;

export const tell = (line: string): void => void process.stderr.write(`${line}\n`);

/** As `work`; says `line` once where that takes long. */
export async function toldIfSlow<T>(line: string, work: Promise<T>): Promise<T> {
  const slow = setTimeout(() => tell(line), SLOW_MS);
  return work.finally(() => clearTimeout(slow));
}
