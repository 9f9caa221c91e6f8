/**
 * The messages of hashicorp/memberlist 0.7 (net.go): a type byte, then a struct in msgpack. Field by field:
 *
 *   0 ping      SeqNo, Node, [SourceAddr, SourcePort, SourceNode]
 *   1 indirect  SeqNo, Target, Port, Node, Nack, [SourceAddr, SourcePort, SourceNode]
 *   2 ack       SeqNo, Payload
 *   3 suspect   Incarnation, Node, From
 *   4 alive     Incarnation, Node, Addr, Port, Meta, Vsn
 *   5 dead      Incarnation, Node, From
 *  11 nack      SeqNo
 *
 * 6 push/pull is in `wire-stream.ts`; 7 compound, 12 checksum and 244 label in `wire-packet.ts`. 8, messages of users,
 * are none of ours. 9, compressed, is refused: a few bytes could become gigabytes, and we have nothing long to say;
 * a memberlist that shall join has EnableCompression off.
 */
import { addressOctets, Fields, META_BYTES_MAX } from './fields';
import { Malformed, Reader, Short, Writer } from './msgpack';
import type { Address, Message } from './types';

export const TYPE = {
  ping: 0,
  indirect: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compressed: 9,
  encrypted: 10,
  nack: 11,
  checksum: 12,
  error: 13,
  label: 244,
} as const;

/** Why something was not taken; each is counted. */
export type Refusal =
  'short' | 'malformed' | 'type' | 'compressed' | 'checksum' | 'label' | 'key' | 'tooLong';

export type Decoded<T> = ({ ok: true } & T) | { ok: false; why: Refusal };

const PAYLOAD_BYTES_MAX = 512;

export function encodeMessage(message: Message): Uint8Array {
  const writer = new Writer().uint(1, TYPE[message.kind]);
  write(writer, message);
  return writer.done();
}

export const messageBytes = (message: Message): number => encodeMessage(message).length;

/** Fields by their names, as go-msgpack sorts them: to the bit what memberlist sends. */
function write(writer: Writer, message: Message): void {
  switch (message.kind) {
    case 'ping':
      writer.map(message.source === null ? 2 : 5);
      writer.field('Node').text(message.node).field('SeqNo').number(message.seq);
      return source(writer, message.source, message.sourceName);
    case 'indirect':
      writer
        .map(message.source === null ? 5 : 8)
        .field('Nack')
        .boolean(message.nack);
      writer.field('Node').text(message.node).field('Port').number(message.target.port);
      writer.field('SeqNo').number(message.seq);
      source(writer, message.source, message.sourceName);
      writer.field('Target').octets(addressOctets(message.target.ip));
      return;
    case 'ack':
      writer.map(2).field('Payload');
      if (message.payload.length === 0) writer.nil();
      else writer.octets(message.payload);
      writer.field('SeqNo').number(message.seq);
      return;
    case 'nack':
      writer.map(1).field('SeqNo').number(message.seq);
      return;
    case 'suspect':
    case 'dead':
      writer.map(3).field('From').text(message.from);
      writer.field('Incarnation').number(message.incarnation).field('Node').text(message.node);
      return;
    case 'alive':
      writer.map(6).field('Addr').octets(addressOctets(message.address.ip));
      writer.field('Incarnation').number(message.incarnation);
      writer.field('Meta').octets(message.meta).field('Node').text(message.node);
      writer.field('Port').number(message.address.port);
      writer.field('Vsn').octets(Uint8Array.from(message.versions));
  }
}

function source(writer: Writer, address: Address | null, name: string): void {
  if (address === null) return;
  writer.field('SourceAddr').octets(addressOctets(address.ip));
  writer.field('SourceNode').text(name).field('SourcePort').number(address.port);
}

/** One message with its type byte; null: a kind that is none of ours, and harmless. */
export function decodeMessage(bytes: Uint8Array): Decoded<{ message: Message | null }> {
  return guarded<{ message: Message | null }>(() => {
    const reader = new Reader(bytes);
    const type = reader.uint(1);
    if (type === TYPE.user) return { ok: true, message: null };
    if (type === TYPE.compressed) return { ok: false, why: 'compressed' };
    const read = READ[type];
    if (read === undefined) return { ok: false, why: 'type' };
    return { ok: true, message: read(new Fields(reader.value())) };
  });
}

/** What the readers throw, as a value. */
export function guarded<T>(read: () => Decoded<T>): Decoded<T> {
  try {
    return read();
  } catch (error) {
    if (error instanceof Short) return { ok: false, why: 'short' };
    if (error instanceof Malformed) return { ok: false, why: 'malformed' };
    throw error;
  }
}

/** A name without an address is of no use to us. */
function from(fields: Fields): { source: Address | null; sourceName: string } {
  const source = fields.optionalAddress('SourceAddr', 'SourcePort');
  return { source, sourceName: source === null ? '' : fields.text('SourceNode') };
}

const accusation = (fields: Fields): { incarnation: number; node: string; from: string } => ({
  incarnation: fields.number('Incarnation'),
  node: fields.name('Node'),
  from: fields.text('From'),
});

const READ: Readonly<Record<number, (fields: Fields) => Message>> = {
  [TYPE.ping]: (fields) => ({
    kind: 'ping',
    seq: fields.number('SeqNo'),
    node: fields.text('Node'),
    ...from(fields),
  }),
  [TYPE.indirect]: (fields) => ({
    kind: 'indirect',
    seq: fields.number('SeqNo'),
    target: fields.address('Target', 'Port'),
    node: fields.text('Node'),
    nack: fields.boolean('Nack'),
    ...from(fields),
  }),
  [TYPE.ack]: (fields) => ({
    kind: 'ack',
    seq: fields.number('SeqNo'),
    payload: fields.bytes('Payload', PAYLOAD_BYTES_MAX),
  }),
  [TYPE.nack]: (fields) => ({ kind: 'nack', seq: fields.number('SeqNo') }),
  [TYPE.suspect]: (fields) => ({ kind: 'suspect', ...accusation(fields) }),
  [TYPE.dead]: (fields) => ({ kind: 'dead', ...accusation(fields) }),
  [TYPE.alive]: (fields) => ({
    kind: 'alive',
    incarnation: fields.number('Incarnation'),
    node: fields.name('Node'),
    address: fields.address('Addr', 'Port'),
    meta: fields.bytes('Meta', META_BYTES_MAX),
    versions: fields.versions('Vsn'),
  }),
};
