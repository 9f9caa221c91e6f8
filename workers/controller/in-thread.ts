/** A thread for one piece of work: a list of a million would hold up streams and leases for seconds. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { SetWork, WORK } from './set-work';

type Task<W extends SetWork> = Parameters<(typeof WORK)[W]>[0];
type Result<W extends SetWork> = ReturnType<(typeof WORK)[W]>;

/** Throws what the work throws, and where it was `ended` before it was done. */
export function inThread<W extends SetWork>(
  work: W,
  task: Task<W>,
  ended?: AbortSignal,
): Promise<Result<W>> {
  const worker = new Worker(join(__dirname, 'set-thread.js'), { workerData: { work, task } });
  const stop = (): void => void worker.terminate();
  ended?.addEventListener('abort', stop, { once: true });
  return new Promise<Result<W>>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error(`${work} was stopped`)));
  }).finally(() => {
    ended?.removeEventListener('abort', stop);
    stop();
  });
}
