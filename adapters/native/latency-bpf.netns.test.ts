/** The arithmetic of bpf/include/latency.h, run by the kernel, against core/latency. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { boundsOf, BUCKETS, bucketOf } from '../../core/latency/histogram';
import { native, type BpfObject } from './native';

const ELF = join(__dirname, '../../../bpf/build/latency.bpf.o');
/** struct reading, and what else a frame needs. */
const FRAME_BYTES = 64;

let object: BpfObject;
before(async () => {
  object = await native.BpfObject.load(readFileSync(ELF), null, null);
});
after(() => object.close());

function kernelBucket(ns: bigint): number {
  const program = object.program('latency_bucket_of');
  const frame = Buffer.alloc(FRAME_BYTES);
  frame.writeBigUInt64LE(ns, 0);
  const { packet } = program.testRun(frame, 1);
  program.close();
  return Number(packet.readBigUInt64LE(8));
}

test('the kernel counts in the buckets that core reads, over all octaves', () => {
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const { fromNs, toNs } = boundsOf(bucket);
    for (const ns of [fromNs, toNs - 1, Math.floor((fromNs + toNs) / 2)]) {
      assert.equal(kernelBucket(BigInt(ns)), bucketOf(ns), `${ns} ns`);
    }
  }
});

test('what is longer than 2^44 ns counts in the last one', () => {
  for (const ns of [2n ** 44n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 64n - 1n]) {
    assert.equal(kernelBucket(ns), BUCKETS - 1);
  }
});
