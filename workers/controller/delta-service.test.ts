import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DownMessages } from '../../adapters/edge-stream/proto';
import { prefixSet } from '../../core/filter/algebra';
import { chunk, pack } from '../../core/filter/blob';
import { applyDelta } from '../../core/filter/delta';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { EXAMPLE } from '../../core/plan/testing';
import { DeltaService } from './delta-service';

const texts = Array.from({ length: 30_000 }, (_, i) => `10.${i >> 8}.${i & 255}.1/32`);
const blobs = [
  pack(prefixSet(texts)),
  pack(prefixSet([...texts.slice(1), '192.0.2.7/32'])),
] as const;
const [from, to] = [chunk(blobs[0]), chunk(blobs[1])];
const spec: EdgeSpec = {
  ...EXAMPLE,
  blocklists: [{ name: 'feed', mode: 'enforce', blob: to.ref }],
};
const asked = {
  from: from.ref.sha256,
  to: to.ref.sha256,
  fromChunks: from.ref.chunks.map(({ sha256 }) => sha256),
};

function world() {
  const stored = new Map<string, Uint8Array>();
  for (const { ref, chunks } of [from, to]) {
    chunks.forEach((bytes, i) => stored.set(ref.chunks[i]!.sha256, bytes));
  }
  const sent: DownMessages['delta'][] = [];
  let reads = 0;
  let bytes = 0;
  const service = new DeltaService<{ node: string; send(message: unknown): boolean }>({
    chunk: async (sha256) => ((reads += 1), stored.get(sha256) ?? null),
    spec: () => spec,
    served: (more) => (bytes += more),
  });
  const edge = () => ({
    node: 'fra-1',
    send: (message: unknown) => sent.push((message as { delta: DownMessages['delta'] }).delta) > 0,
  });
  return { service, edge, session: edge(), stored, sent, reads: () => reads, bytes: () => bytes };
}

test('many edges that ask for the same are answered out of one', async () => {
  const { service, edge, sent, reads, bytes } = world();
  await Promise.all(Array.from({ length: 20 }, () => service.request(edge(), asked)));
  assert.equal(sent.length, 20);
  const pieces = from.ref.chunks.length + to.ref.chunks.length;
  assert.equal(reads(), pieces, 'each piece was read once');
  for (const { data, missing } of sent) {
    assert.equal(missing, false);
    assert.deepEqual(applyDelta(blobs[0], data), blobs[1]);
  }
  assert.ok(bytes() < 20 * 100);
});

test('an edge that names one piece thousands of times, or asks for many at once, costs nobody much', async () => {
  const { service, edge, session, sent, reads } = world();
  const fromChunks = Array.from({ length: 4_000 }, () => from.ref.chunks[0]!.sha256);
  await service.request(session, { ...asked, fromChunks });
  assert.ok(reads() < 20, `${reads()} pieces were read`);
  const before = reads();
  const many = Array.from({ length: 50 }, (_, i) => ({ ...asked, from: `another-${i}` }));
  await Promise.all(many.map((each) => service.request(session, each)));
  assert.ok(sent.every(({ missing }) => missing));
  assert.equal(sent.length, 51, 'each is answered');
  const pieces = from.ref.chunks.length + to.ref.chunks.length;
  assert.equal(reads() - before, pieces, 'one of them is looked at');
  const waiting = reads();
  const gone = many.map((each) => ({ ...each, fromChunks: ['gone'] }));
  await Promise.all(gone.map((each) => service.request(edge(), each)));
  assert.ok(reads() - waiting < 20, 'of many edges a few are looked at');
  await service.request(session, asked);
  assert.equal(sent.at(-1)?.missing, false, 'and then it is served as ever');
});

test('of what its spec does not name an edge gets nothing, nor of what is not there', async () => {
  const { service, session, stored, sent } = world();
  await service.request(session, { ...asked, to: from.ref.sha256 });
  await service.request(session, { ...asked, fromChunks: asked.fromChunks.slice(1) });
  assert.deepEqual(
    sent.map(({ missing }) => missing),
    [true, true],
  );
  await service.request(session, asked);
  assert.equal(sent.at(-1)?.missing, false, 'that spoils it for nobody');
  stored.delete(from.ref.chunks[0]!.sha256);
  await service.request(session, { ...asked, from: 'another' });
  assert.equal(sent.at(-1)?.missing, true);
});
