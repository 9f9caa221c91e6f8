import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { CHUNKS_ASKED_MAX } from '../../adapters/edge-stream/proto';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { EXAMPLE } from '../../core/plan/testing';
import { ChunkService } from './chunk-service';

const sha = (i: number): string => String(i).padStart(64, '0');

const spec: EdgeSpec = {
  ...EXAMPLE,
  blocklists: [
    {
      name: 'a',
      mode: 'enforce',
      blob: {
        sha256: sha(999),
        count: 1,
        chunks: Array.from({ length: 10 }, (_, i) => ({ sha256: sha(i), bytes: 1 })),
      },
    },
  ],
};

/** A stream that takes one message, and then only after `drained`. */
class NarrowStream {
  readonly node = 'fra-1';
  readonly sent: string[] = [];
  closed: string | null = null;
  full = false;

  send(message: { message: string } & Record<string, unknown>): boolean {
    if (this.full) return false;
    this.full = true;
    const { sha256, missing } = message['chunk'] as { sha256: string; missing: boolean };
    this.sent.push(`${missing ? '-' : '+'}${Number(sha256)}`);
    return true;
  }

  close(_code: unknown, details: string): void {
    this.closed = details;
  }
}

function world() {
  const stored = new Map([1, 2, 3].map((i) => [sha(i), new Uint8Array(i)]));
  let bytes = 0;
  const service = new ChunkService<NarrowStream>({
    chunk: async (sha256) => stored.get(sha256) ?? null,
    spec: () => spec,
    served: (more) => (bytes += more),
  });
  const stream = new NarrowStream();
  const drain = async (): Promise<void> => {
    stream.full = false;
    service.drained(stream);
    for (let i = 0; i < 5; i += 1) await turn();
  };
  return { service, stream, drain, bytes: () => bytes };
}

describe('pieces of blobs', () => {
  test('go out one by one, as the stream takes them; what is not there or not theirs is missing', async () => {
    const { service, stream, drain, bytes } = world();
    service.request(stream, [sha(1), sha(4), sha(77), sha(2)]);
    service.request(stream, [sha(2), sha(3)]);
    for (let i = 0; i < 8; i += 1) await drain();
    assert.deepEqual(stream.sent, ['+1', '-4', '-77', '+2', '+3']);
    assert.equal(bytes(), 6);
  });

  test('are not sent to a stream that has ended', async () => {
    const { service, stream, drain } = world();
    service.request(stream, [sha(1), sha(2)]);
    service.ended(stream);
    for (let i = 0; i < 4; i += 1) await drain();
    assert.deepEqual(stream.sent, []);
  });

  test('an edge that asks for too many at once loses its stream', () => {
    const { service, stream } = world();
    service.request(
      stream,
      Array.from({ length: CHUNKS_ASKED_MAX + 1 }, (_, i) => sha(i)),
    );
    assert.match(stream.closed ?? '', /more than 64 chunks/);
  });
});
