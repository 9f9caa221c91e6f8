import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Message, PushPullNode } from '../../core/swim/types';
import { labelBytes } from '../../core/swim/wire-packet';
import { encodePushPull, STREAM_BYTES_MAX } from '../../core/swim/wire-stream';
import { open, openStream, seal } from './cipher';
import { type Secrets, unwrapPacket, unwrapStream, wrapPacket, wrapStream } from './framing';

const MESSAGES: Message[] = [
  { kind: 'nack', seq: 7 },
  { kind: 'suspect', incarnation: 2, node: 'b', from: 'a' },
];
const NODES: PushPullNode[] = [
  {
    name: 'a',
    address: { ip: '10.0.0.1', port: 7701 },
    meta: new Uint8Array(0),
    incarnation: 1,
    state: 'alive',
    versions: [1, 5, 2, 0, 0, 0],
  },
];

const OLD = randomBytes(16);
const NEW = randomBytes(32);
const secrets = (label: string, ...keys: Buffer[]): Secrets => ({
  label: labelBytes(label),
  keys: keys.length === 0 ? null : keys,
});

const WAYS: readonly [name: string, secrets: Secrets][] = [
  ['in the clear', secrets('')],
  ['with a label', secrets('aether')],
  ['encrypted', secrets('', NEW)],
  ['encrypted with a label', secrets('aether', NEW)],
];

describe('what is wrapped', () => {
  for (const [name, ours] of WAYS) {
    it(`is read by its own cluster alone: ${name}`, () => {
      const packet = wrapPacket(ours, MESSAGES, true);
      assert.deepEqual(unwrapPacket(ours, packet), { messages: MESSAGES, refused: [] });
      for (const [other, theirs] of WAYS) {
        if (other === name) continue;
        assert.deepEqual(unwrapPacket(theirs, packet).messages, [], other);
      }
    });

    it(`comes over TCP byte by byte: ${name}`, () => {
      for (const side of ['asks', 'answers'] as const) {
        const stream = Buffer.from(wrapStream(ours, encodePushPull(NODES, true), side));
        for (let length = 0; length < stream.length; length += 1) {
          const part = unwrapStream(ours, stream.subarray(0, length), side);
          assert.deepEqual(part, { ok: false, why: 'short' }, `${length} bytes`);
        }
        const said = { kind: 'pushPull', join: true, nodes: NODES };
        assert.deepEqual(unwrapStream(ours, stream, side), { ok: true, said });
      }
    });
  }
});

describe('a key', () => {
  it('that is on its way in or out is read, and the first one written', () => {
    const before = secrets('', OLD);
    const during = secrets('', OLD, NEW);
    const after = secrets('', NEW, OLD);
    const reads = (reader: Secrets, writer: Secrets): boolean =>
      unwrapPacket(reader, wrapPacket(writer, MESSAGES, false)).messages.length === 2;
    assert.ok(reads(before, during) && reads(during, before));
    assert.ok(reads(during, after) && reads(after, during));
    assert.ok(!reads(before, after));
  });

  it('is asked about the label and every byte', () => {
    const sealed = seal(NEW, Buffer.from('what is said'), labelBytes('aether'));
    assert.equal(open([OLD, NEW], sealed, labelBytes('aether'))?.toString(), 'what is said');
    assert.equal(open([NEW], sealed, labelBytes('other')), null);
    assert.equal(open([OLD], sealed, labelBytes('aether')), null);
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.equal(open([NEW], changed, labelBytes('aether')), null, `byte ${at}`);
      assert.equal(open([NEW], sealed.subarray(0, at), labelBytes('aether')), null, `${at} bytes`);
    }
  });

  it('is not asked about what is longer than any of ours', () => {
    const head = Buffer.of(10, 0, 0, 0, 0);
    head.writeUInt32BE(STREAM_BYTES_MAX + 1, 1);
    assert.equal(openStream([NEW], head, labelBytes('')), 'tooLong');
    assert.equal(openStream([NEW], Buffer.of(6), labelBytes('')), 'key');
  });
});

it('nothing that comes makes it throw', () => {
  const all = WAYS.map(([, ours]) => ours);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(3), fc.nat(), (noise, way, at) => {
      const ours = all[way] ?? secrets('');
      const good = Buffer.from(wrapPacket(ours, MESSAGES, true));
      good.set(noise.subarray(0, 3), at % (good.length - 3));
      for (const bytes of [noise, good]) {
        unwrapPacket(ours, bytes);
        unwrapStream(ours, Buffer.from(bytes), 'asks');
        unwrapStream(ours, Buffer.from(bytes), 'answers');
      }
    }),
    { numRuns: 2_000 },
  );
});
