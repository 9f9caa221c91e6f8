/**
 * What the tracker asks of a kernel, also of the oldest (bpf/verifier.vm.test.ts): the arithmetic of
 * bpf/include/latency.h against core/latency, and the hooks.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { boundsOf, BUCKETS, bucketOf } from '../../core/latency/histogram';
import { LatencyTracker } from './latency';
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

test('a kernel without tcx says so, and readers are timed all the same', async () => {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const hasTcx = major > 6 || (major === 6 && minor >= 6);
  const tracker = new LatencyTracker();
  try {
    const wish = { ingress: ['lo'], egress: ['lo'], namespaces: [], oneFlowIn: 1 };
    const { forward, tcp } = await tracker.ensure(wish);
    assert.equal(forward.state, hasTcx ? 'on' : 'unsupported');
    assert.deepEqual(tcp, { state: 'on' });
  } finally {
    await tracker.remove();
  }
});
