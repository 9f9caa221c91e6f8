/** What lies around packets and streams: the cluster's label and its encryption. */
import {
  addLabel,
  decodePacket,
  encodePacket,
  type Packet,
  stripLabel,
} from '../../core/swim/wire-packet';
import { type Decoded, TYPE } from '../../core/swim/wire';
import { decodeSaid, type Said } from '../../core/swim/wire-stream';
import type { Message } from '../../core/swim/types';
import { open, openStream, seal, sealStream } from './cipher';
import type { Keys } from './keys';

export interface Secrets {
  label: Uint8Array;
  /** Null: in the clear. Replaced as the key file changes. */
  keys: Keys | null;
}

const NO_LABEL = new Uint8Array(0);

export function wrapPacket(
  { label, keys }: Secrets,
  messages: readonly Message[],
  checksum: boolean,
): Uint8Array {
  const plain = encodePacket(messages, checksum);
  const [key] = keys ?? [];
  return addLabel(label, key === undefined ? plain : seal(key, plain, label));
}

export function unwrapPacket({ label, keys }: Secrets, bytes: Uint8Array): Packet {
  const stripped = stripLabel(label, bytes);
  if (!stripped.ok) return { messages: [], refused: [stripped.why] };
  const plain = keys === null ? stripped.rest : open(keys, stripped.rest, label);
  return plain === null ? { messages: [], refused: ['key'] } : decodePacket(plain);
}

/** An answer has no label in front: whoever asked knows whom. It stays authenticated. */
export function wrapStream(
  { label, keys }: Secrets,
  plain: Uint8Array,
  side: 'asks' | 'answers',
): Uint8Array {
  const [key] = keys ?? [];
  const body = key === undefined ? plain : sealStream(key, plain, label);
  return addLabel(side === 'asks' ? label : NO_LABEL, body);
}

/** `short`: more is to come. `from`: whether the other side asks us, or answers. */
export function unwrapStream(
  { label, keys }: Secrets,
  bytes: Buffer,
  from: 'asks' | 'answers',
): Decoded<{ said: Said }> {
  const stripped = stripLabel(from === 'asks' ? label : NO_LABEL, bytes);
  if (!stripped.ok) return stripped;
  const rest = Buffer.from(stripped.rest.buffer, stripped.rest.byteOffset, stripped.rest.length);
  if (keys === null) {
    return rest[0] === TYPE.encrypted ? { ok: false, why: 'key' } : decodeSaid(rest);
  }
  const opened = openStream(keys, rest, label);
  return typeof opened === 'string' ? { ok: false, why: opened } : decodeSaid(opened);
}
