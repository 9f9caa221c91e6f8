/**
 * Makes the image of a set. A million prefixes take half a second of one core: on a thread of its own,
 * so that the agent goes on hearing the kernel meanwhile, and what the work allocates goes with the
 * thread. Chunks on the loop would stretch it, and keep its garbage.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { unpack, type BlobError } from '../../../core/filter/blob';
import { TrueSet } from '../../../core/filter/true-set';
import type { Image, PrefixSet } from '../../../core/filter/types';

/** Up to here a thread costs more than it saves: some 10,000 prefixes, a few milliseconds. */
const INLINE_BYTES = 64 * 1024;
const WORKER = join(__dirname, 'build-worker.js');

export interface BuildOrder {
  blobs: Uint8Array[];
  /** Null: no images, the lists alone. */
  overlay: PrefixSet | null;
  seed: number;
  /** Also an image of a family that the set holds nothing of, for edits to come. */
  both: boolean;
}

export interface Built {
  lists: PrefixSet[];
  image4: Image | null;
  image6: Image | null;
}

const ERRORS: Record<BlobError['kind'], string> = {
  foreign: 'is no list of Aether',
  version: 'is of another version of Aether',
  size: 'is not as long as its header says',
  prefix: 'holds prefixes that are out of order',
};

export function buildHere({ blobs, overlay, seed, both }: BuildOrder): Built {
  const lists = blobs.map((blob) => {
    const unpacked = unpack(blob);
    if (unpacked.ok) return unpacked.set;
    throw new Error(`a blob ${ERRORS[unpacked.error.kind]}`);
  });
  if (overlay === null) return { lists, image4: null, image6: null };
  const { image4, image6 } = new TrueSet(lists, overlay, seed, both ? 'both' : 'needed');
  return { lists, image4, image6 };
}

export async function build(order: BuildOrder): Promise<Built> {
  const bytes = order.blobs.reduce((sum, blob) => sum + blob.length, 0);
  return bytes <= INLINE_BYTES ? buildHere(order) : buildAside(order);
}

function buildAside(order: BuildOrder): Promise<Built> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(WORKER, { workerData: order });
    worker.once('message', (answer: Built | { error: string }) =>
      'error' in answer ? reject(new Error(answer.error)) : resolve(answer),
    );
    worker.once('error', reject);
    worker.once('exit', () =>
      reject(new Error('the thread that builds sets ended without an answer')),
    );
  });
}
