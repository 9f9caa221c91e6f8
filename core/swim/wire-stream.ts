/**
 * What memberlist says over TCP (net.go, `sendLocalState` and `readRemoteState`):
 *
 *   6, {Nodes, UserStateLen, Join}, Nodes × {Name, Addr, Port, Meta, Incarnation, State, Vsn}, user state
 *
 * and a ping or its ack, each one message as in a packet. Label and encryption lie outside.
 */
import { addressOctets, Fields, META_BYTES_MAX } from './fields';
import { Malformed, Reader, Writer } from './msgpack';
import { MEMBER_STATES, type Message, type PushPullNode } from './types';
import { type Decoded, decodeMessage, guarded, TYPE } from './wire';

/** MEMBERS_MAX members with the longest name and meta that they may have. */
export const STREAM_BYTES_MAX = 1 << 20;
const NODES_MAX = 4_096;

export type Said =
  | { kind: 'pushPull'; join: boolean; nodes: PushPullNode[] }
  | { kind: 'message'; message: Message }
  /** The other side could not read us, and says why. */
  | { kind: 'error'; text: string };

export function encodePushPull(nodes: readonly PushPullNode[], join: boolean): Uint8Array {
  const writer = new Writer().uint(1, TYPE.pushPull).map(3);
  writer.field('Join').boolean(join).field('Nodes').number(nodes.length);
  writer.field('UserStateLen').number(0);
  for (const node of nodes) {
    writer.map(7).field('Addr').octets(addressOctets(node.address.ip));
    writer.field('Incarnation').number(node.incarnation).field('Meta').octets(node.meta);
    writer.field('Name').text(node.name).field('Port').number(node.address.port);
    writer.field('State').number(MEMBER_STATES.indexOf(node.state));
    writer.field('Vsn').octets(Uint8Array.from(node.versions));
  }
  return writer.done();
}

/** `short`: more is to come. Of a stream that goes on after it, what follows is not read. */
export function decodeSaid(bytes: Uint8Array): Decoded<{ said: Said }> {
  if (bytes.length > STREAM_BYTES_MAX) return { ok: false, why: 'tooLong' };
  return guarded(() => {
    const reader = new Reader(bytes);
    const type = reader.uint(1);
    if (type === TYPE.pushPull) return { ok: true, said: pushPull(reader) };
    if (type === TYPE.error) return { ok: true, said: remoteError(reader) };
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) return decoded;
    if (decoded.message === null) return { ok: false, why: 'type' };
    return { ok: true, said: { kind: 'message', message: decoded.message } };
  });
}

function pushPull(reader: Reader): Said {
  const header = new Fields(reader.value());
  const count = header.number('Nodes');
  const userBytes = header.number('UserStateLen');
  if (count > NODES_MAX || userBytes > STREAM_BYTES_MAX) throw new Malformed('too many');
  const nodes: PushPullNode[] = [];
  while (nodes.length < count) nodes.push(nodeOf(new Fields(reader.value())));
  reader.take(userBytes);
  return { kind: 'pushPull', join: header.boolean('Join'), nodes };
}

function nodeOf(fields: Fields): PushPullNode {
  const state = MEMBER_STATES[fields.number('State')];
  if (state === undefined) throw new Malformed('State');
  return {
    name: fields.name('Name'),
    address: fields.address('Addr', 'Port'),
    meta: fields.bytes('Meta', META_BYTES_MAX),
    incarnation: fields.number('Incarnation'),
    state,
    versions: fields.versions('Vsn'),
  };
}

function remoteError(reader: Reader): Said {
  const { bytes } = reader;
  const fields = new Fields(reader.value());
  return { kind: 'error', text: fields.text('Error', bytes.length) };
}
