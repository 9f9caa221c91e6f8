/** The other end of `in-thread.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { type SetWork, WORK } from './set-work';

const { work, task } = workerData as { work: SetWork; task: never };
parentPort?.postMessage(WORK[work](task));
