import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../model/hash';
import { META_BYTES_MAX, NAME_BYTES_MAX, utf8Text } from './fields';
import { MEMBERS_MAX } from './members';
import { MEMBER_STATES, type Message, type PushPullNode } from './types';
import { decodeMessage, encodeMessage } from './wire';
import { addLabel, decodePacket, encodePacket, stripLabel } from './wire-packet';
import { decodeSaid, encodePushPull, STREAM_BYTES_MAX } from './wire-stream';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (of: Uint8Array): string => Buffer.from(of).toString('hex');

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const octet = fc.integer({ min: 0, max: 255 });
const name = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }).filter((text) => {
  return utf8(text).length <= NAME_BYTES_MAX && utf8Text(utf8(text)) === text;
});
const ip = fc.oneof(
  fc.ipV4(),
  fc.constantFrom('::1', '2001:db8::7', 'fe80::1:2', '2001:db8:0:1:2:3:4:5'),
);
const address = fc.record({ ip, port: fc.integer({ min: 1, max: 0xffff }) }, PLAIN());
const meta = fc.uint8Array({ maxLength: META_BYTES_MAX });
const versions = fc.tuple(octet, octet, octet, octet, octet, octet);
const sourced = fc.oneof(
  fc.record({ source: fc.constant(null), sourceName: fc.constant('') }, PLAIN()),
  fc.record({ source: address, sourceName: name }, PLAIN()),
);

function PLAIN(): { noNullPrototype: true } {
  return { noNullPrototype: true };
}

const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  fc
    .tuple(u32, name, sourced)
    .map(([seq, node, source]): Message => ({ kind: 'ping', seq, node, ...source })),
  fc
    .tuple(u32, address, name, fc.boolean(), sourced)
    .map(([seq, target, node, nack, source]): Message => ({
      kind: 'indirect',
      seq,
      target,
      node,
      nack,
      ...source,
    })),
  fc
    .tuple(u32, fc.uint8Array({ maxLength: 64 }))
    .map(([seq, payload]): Message => ({ kind: 'ack', seq, payload })),
  u32.map((seq): Message => ({ kind: 'nack', seq })),
  fc
    .tuple(fc.constantFrom('suspect' as const, 'dead' as const), u32, name, name)
    .map(([kind, incarnation, node, from]): Message => ({ kind, incarnation, node, from })),
  fc
    .tuple(u32, name, address, meta, versions)
    .map(([incarnation, node, at, said, versed]): Message => ({
      kind: 'alive',
      incarnation,
      node,
      address: at,
      meta: said,
      versions: versed,
    })),
);

const anyNode: fc.Arbitrary<PushPullNode> = fc.record(
  {
    name,
    address,
    meta,
    incarnation: u32,
    state: fc.constantFrom(...MEMBER_STATES),
    versions,
  },
  PLAIN(),
);

const at = (port: number): { ip: string; port: number } => ({ ip: '127.0.0.1', port });
const FROM_GO = { source: at(17997), sourceName: 'go' };
const SOURCE_OF_GO =
  'aa536f7572636541646472a47f000001aa536f757263654e6f6465a2676faa536f75726365506f7274cd464d';

/** As memberlist 0.7.0, named go at 127.0.0.1:17997, sent them. */
const CAPTURED: readonly [of: string, message: Message][] = [
  [
    `0085a44e6f6465a178a55365714e6f03${SOURCE_OF_GO}`,
    { kind: 'ping', seq: 3, node: 'x', ...FROM_GO },
  ],
  [
    `0188a44e61636bc3a44e6f6465a179a4506f7274cd464ea55365714e6f01${SOURCE_OF_GO}a6546172676574a47f000001`,
    { kind: 'indirect', seq: 1, node: 'y', target: at(17998), nack: true, ...FROM_GO },
  ],
  [
    '0282a75061796c6f6164c0a55365714e6fce00011170',
    { kind: 'ack', seq: 70_000, payload: new Uint8Array(0) },
  ],
  ['0b81a55365714e6f05', { kind: 'nack', seq: 5 }],
  [
    '0383a446726f6da2676fab496e6361726e6174696f6e03a44e6f6465a179',
    { kind: 'suspect', incarnation: 3, node: 'y', from: 'go' },
  ],
  [
    '0583a446726f6da2676fab496e6361726e6174696f6e01a44e6f6465a2676f',
    { kind: 'dead', incarnation: 1, node: 'go', from: 'go' },
  ],
  [
    '0486a441646472a47f000001ab496e6361726e6174696f6e01a44d657461a4626f6f74a44e6f6465a2676fa4506f7274cd464da356736ea6010502000000',
    {
      kind: 'alive',
      incarnation: 1,
      node: 'go',
      address: at(17997),
      meta: utf8('boot'),
      versions: [1, 5, 2, 0, 0, 0],
    },
  ],
];

/** The same memberlist: a ping with a suspicion beside it, and a checksum around them. */
const CAPTURED_PACKET =
  `0c332363cf0702003c001e0085a44e6f6465a178a55365714e6f05${SOURCE_OF_GO}` +
  '0383a446726f6da2676fab496e6361726e6174696f6e03a44e6f6465a178';

/** What it told of itself over TCP as it joined. */
const CAPTURED_LIST =
  '0683a44a6f696ec3a54e6f64657301ac5573657253746174654c656e00' +
  '87a441646472a47f000001ab496e6361726e6174696f6e01a44d657461a4626f6f74a44e616d65a2676f' +
  'a4506f7274cd464da5537461746500a356736ea6010502000000';

describe('a message', () => {
  for (const [of, message] of CAPTURED) {
    it(`reads field by field as memberlist sent it, and is sent as it did: ${message.kind}`, () => {
      assert.deepEqual(decodeMessage(bytes(of)), { ok: true, message });
      assert.equal(hex(encodeMessage(message)), of);
    });
  }

  it('comes back as it was encoded', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        assert.deepEqual(decodeMessage(encodeMessage(message)), { ok: true, message });
      }),
    );
  });

  it('that lacks a field holds its zero, or is refused', () => {
    const empty = '80';
    assert.deepEqual(decodeMessage(bytes(`02${empty}`)), {
      ok: true,
      message: { kind: 'ack', seq: 0, payload: new Uint8Array(0) },
    });
    assert.deepEqual(decodeMessage(bytes(`03${empty}`)), { ok: false, why: 'malformed' });
    assert.deepEqual(decodeMessage(bytes(`04${empty}`)), { ok: false, why: 'malformed' });
  });

  it('with what a later version adds is read without it', () => {
    const later = '0b' + '82' + 'a55365714e6f' + '07' + 'a54f74686572' + '93c0c301';
    assert.deepEqual(decodeMessage(bytes(later)), { ok: true, message: { kind: 'nack', seq: 7 } });
  });

  const refused: [why: string, of: string][] = [
    ['short', ''],
    ['short', '00'],
    ['short', '0b81a55365714e6f'],
    ['short', '0bde'],
    ['short', '0bdf7fffffff'],
    ['short', '0bdd7fffffff'],
    ['malformed', '0b90'],
    ['malformed', '0bc1'],
    ['malformed', '0b8101'],
    ['malformed', '0b81a55365714e6fc3'],
    ['malformed', '0b81a55365714e6fff'],
    ['malformed', '0b81a55365714e6fcf0000000100000000'],
    ['malformed', '0b81a55365714e6fcfffffffffffffffff'],
    ['malformed', `0b${'81a141'.repeat(9)}01`],
    ['type', '06'],
    ['type', '0a00'],
    ['type', 'ff'],
    ['compressed', '0982a4416c676f00a3427566a0'],
  ];
  for (const [why, of] of refused) {
    it(`is refused as ${why}: ${of || 'nothing'}`, () => {
      assert.deepEqual(decodeMessage(bytes(of)), { ok: false, why });
    });
  }

  it('of users is none of ours', () => {
    assert.deepEqual(decodeMessage(bytes('08cafe')), { ok: true, message: null });
  });

  it('with a name or a meta that is too long is refused', () => {
    const of = (long: number, said: number): boolean =>
      decodeMessage(
        encodeMessage({
          kind: 'alive',
          incarnation: 1,
          node: 'n'.repeat(long),
          address: { ip: '10.0.0.1', port: 1 },
          meta: new Uint8Array(said),
          versions: [1, 5, 2, 0, 0, 0],
        }),
      ).ok;
    assert.deepEqual([of(255, 512), of(256, 512), of(255, 513)], [true, false, false]);
  });

  it('keeps nothing of the packet that it came in', () => {
    const [, message] = CAPTURED.at(-1) ?? [];
    assert.ok(message?.kind === 'alive');
    const packet = Buffer.from(encodeMessage(message));
    const decoded = decodeMessage(packet);
    packet.fill(0xff);
    assert.deepEqual(decoded, { ok: true, message });
  });

  it('says IPv4 in four bytes or, as Go may, in sixteen', () => {
    const alive = (addr: string): string => `0483a44e6f6465a162a441646472${addr}a4506f7274cd1e15`;
    for (const addr of ['a40a000007', 'b000000000000000000000ffff0a000007']) {
      const decoded = decodeMessage(bytes(alive(addr)));
      assert.ok(decoded.ok && decoded.message?.kind === 'alive');
      assert.deepEqual(decoded.message.address, { ip: '10.0.0.7', port: 7701 });
    }
  });
});

/** Near misses: good bytes with a few of them changed, cut or doubled. */
const spoiled = (good: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(good, fc.array(fc.tuple(fc.nat(), octet), { maxLength: 4 }), fc.nat())
    .map(([of, changes, cut]) => {
      const copy = of.slice(0, cut % 3 === 0 ? cut % (of.length + 1) : of.length);
      for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length] = value;
      return copy;
    });

const anyPacket = fc.array(anyMessage, { minLength: 1, maxLength: 12 });

describe('a packet', () => {
  it('holds one message or several, with a checksum or without', () => {
    fc.assert(
      fc.property(anyPacket, fc.boolean(), (messages, checksum) => {
        const packet = decodePacket(encodePacket(messages, checksum));
        assert.deepEqual(packet, { messages, refused: [] });
      }),
    );
  });

  it('reads as memberlist sent it, and is sent as it did', () => {
    const messages: Message[] = [
      { kind: 'ping', seq: 5, node: 'x', ...FROM_GO },
      { kind: 'suspect', incarnation: 3, node: 'x', from: 'go' },
    ];
    assert.deepEqual(decodePacket(bytes(CAPTURED_PACKET)), { messages, refused: [] });
    assert.equal(hex(encodePacket(messages, true)), CAPTURED_PACKET);
  });

  it('whose checksum is wrong is refused as a whole', () => {
    const packet = encodePacket([{ kind: 'nack', seq: 1 }], true);
    packet[packet.length - 1] = 2;
    assert.deepEqual(decodePacket(packet), { messages: [], refused: ['checksum'] });
  });

  it('gives what can be read of it', () => {
    const nack = '0b81a55365714e6f07';
    const compound = `0702${'0009'}${'0001'}${nack}ff`;
    assert.deepEqual(decodePacket(bytes(compound)), {
      messages: [{ kind: 'nack', seq: 7 }],
      refused: ['type'],
    });
    assert.deepEqual(decodePacket(bytes('070200090009')), { messages: [], refused: ['short'] });
  });

  it('is not opened without end', () => {
    let nested = encodeMessage({ kind: 'nack', seq: 7 });
    for (let i = 0; i < 5; i += 1) {
      nested = Uint8Array.from([7, 1, 0, nested.length, ...nested]);
    }
    assert.deepEqual(decodePacket(nested), { messages: [], refused: ['malformed'] });
  });

  it('never throws on anything, and takes what it says', () => {
    const good = fc
      .tuple(anyPacket, fc.boolean())
      .map(([messages, checksum]) => encodePacket(messages, checksum));
    const noise = fc.oneof(fc.uint8Array({ maxLength: 200 }), spoiled(good));
    fc.assert(
      fc.property(noise, (of) => {
        for (const message of decodePacket(of).messages) {
          assert.deepEqual(decodeMessage(encodeMessage(message)), { ok: true, message });
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('of another cluster is told by its label', () => {
    const [ours, packet] = [utf8('ours'), bytes('0b81a55365714e6f07')];
    const of = (label: string): unknown => stripLabel(ours, addLabel(utf8(label), packet));
    assert.deepEqual(of('ours'), { ok: true, rest: packet });
    for (const label of ['', 'our', 'theirs', 'oursx']) {
      assert.deepEqual(of(label), { ok: false, why: 'label' }, label);
    }
    assert.deepEqual(stripLabel(ours, bytes('f4ff41')), { ok: false, why: 'short' });
    assert.deepEqual(stripLabel(new Uint8Array(0), packet), { ok: true, rest: packet });
  });
});

describe('a list that is exchanged', () => {
  const anyList = fc.array(anyNode, { maxLength: 12 });

  it('comes back as it was encoded, and not before its last byte', () => {
    fc.assert(
      fc.property(anyList, fc.boolean(), fc.nat(), (nodes, join, cut) => {
        const encoded = encodePushPull(nodes, join);
        const said = { kind: 'pushPull', join, nodes };
        assert.deepEqual(decodeSaid(encoded), { ok: true, said });
        const part = encoded.subarray(0, cut % encoded.length);
        assert.deepEqual(decodeSaid(part), { ok: false, why: 'short' });
      }),
    );
  });

  it('reads as memberlist sent it, and is sent as it did', () => {
    const decoded = decodeSaid(bytes(CAPTURED_LIST));
    assert.ok(decoded.ok && decoded.said.kind === 'pushPull');
    const [node] = decoded.said.nodes;
    assert.deepEqual(node, {
      name: 'go',
      address: at(17997),
      meta: utf8('boot'),
      incarnation: 1,
      state: 'alive',
      versions: [1, 5, 2, 0, 0, 0],
    });
    assert.equal(hex(encodePushPull([node], true)), CAPTURED_LIST);
  });

  it('never throws on anything', () => {
    const good = anyList.map((nodes) => encodePushPull(nodes, true));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), spoiled(good)), (of) => {
        const decoded = decodeSaid(of);
        if (decoded.ok && decoded.said.kind === 'pushPull') {
          assert.ok(decoded.said.nodes.length <= of.length);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('is read with the state of users behind it, which is none of ours', () => {
    const header = `0683a54e6f64657300ac5573657253746174654c656e02a44a6f696ec3`;
    assert.deepEqual(decodeSaid(bytes(header)), { ok: false, why: 'short' });
    const said = { kind: 'pushPull', join: true, nodes: [] };
    assert.deepEqual(decodeSaid(bytes(`${header}cafe`)), { ok: true, said });
  });

  it('of as many as are kept, who say as much as they may, is short enough', () => {
    const node: PushPullNode = {
      name: 'n'.repeat(NAME_BYTES_MAX),
      address: { ip: '2001:db8::7', port: 7701 },
      meta: new Uint8Array(META_BYTES_MAX),
      incarnation: 0xffff_ffff,
      state: 'alive',
      versions: [1, 5, 2, 0, 0, 0],
    };
    const nodes = new Array<PushPullNode>(MEMBERS_MAX).fill(node);
    assert.deepEqual(decodeSaid(encodePushPull(nodes, false)), {
      ok: true,
      said: { kind: 'pushPull', join: false, nodes },
    });
  });

  it('that is longer than any of ours is refused', () => {
    const decoded = decodeSaid(new Uint8Array(STREAM_BYTES_MAX + 1));
    assert.deepEqual(decoded, { ok: false, why: 'tooLong' });
    const header = `0683a54e6f646573ce7fffffffac5573657253746174654c656e00a44a6f696ec3`;
    assert.deepEqual(decodeSaid(bytes(header)), { ok: false, why: 'malformed' });
  });

  it('may be an error of the other side', () => {
    const text = Buffer.from('what').toString('hex');
    assert.deepEqual(decodeSaid(bytes(`0d81a54572726f72a4${text}`)), {
      ok: true,
      said: { kind: 'error', text: 'what' },
    });
  });
});
