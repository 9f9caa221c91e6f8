/** The thread of build.ts: one order, one answer, whose memory changes hands. */
import { parentPort, workerData } from 'node:worker_threads';
import { buildHere, type BuildOrder, type Built } from './build';

const buffersOf = ({ lists, image4, image6 }: Built): ArrayBuffer[] => {
  const arrays = [
    ...lists.flatMap(({ v4, v6 }) => [v4.addresses, v4.lengths, v6.words, v6.lengths]),
    ...[image4, image6].flatMap((image) => (image ? [image.words] : [])),
  ];
  return [...new Set(arrays.map((array) => array.buffer as ArrayBuffer))];
};

try {
  const built = buildHere(workerData as BuildOrder);
  parentPort?.postMessage(built, buffersOf(built));
} catch (error) {
  parentPort?.postMessage({ error: (error as Error).message });
}
