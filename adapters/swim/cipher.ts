/**
 * memberlist's encryption (security.go), version 1 alone: AES-GCM without padding.
 *
 *   packet: version 1, nonce 12, ciphertext, tag 16; authenticated with it: the label
 *   stream: 10, u32 BE length of what follows, the same; authenticated: these five bytes, the label
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { STREAM_BYTES_MAX } from '../../core/swim/wire-stream';
import type { Keys } from './keys';

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;
const ENCRYPTED = 10;
const HEADER_BYTES = 5;

const cipherOf = (key: Buffer): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' =>
  `aes-${(key.length * 8) as 128 | 192 | 256}-gcm`;

export function seal(key: Buffer, plain: Uint8Array, label: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(cipherOf(key), key, nonce).setAAD(label);
  const version = Buffer.of(VERSION);
  return Buffer.concat([version, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Null: no key of ours, another label, or changed on its way. */
export function open(keys: Keys, sealed: Uint8Array, label: Uint8Array): Buffer | null {
  if (sealed.length < OVERHEAD_BYTES || sealed[0] !== VERSION) return null;
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const text = sealed.subarray(1 + NONCE_BYTES, -TAG_BYTES);
  const tag = sealed.subarray(-TAG_BYTES);
  for (const key of keys) {
    const decipher = createDecipheriv(cipherOf(key), key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(label).setAuthTag(tag);
    const plain = decipher.update(text);
    try {
      return Buffer.concat([plain, decipher.final()]);
    } catch {
      // Of another key; the next one may fit.
    }
  }
  return null;
}

const header = (bytes: number): Buffer => {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt8(ENCRYPTED);
  head.writeUInt32BE(bytes, 1);
  return head;
};

export function sealStream(key: Buffer, plain: Uint8Array, label: Uint8Array): Buffer {
  const head = header(plain.length + OVERHEAD_BYTES);
  return Buffer.concat([head, seal(key, plain, Buffer.concat([head, label]))]);
}

/** `short`: more is to come. */
export function openStream(
  keys: Keys,
  bytes: Buffer,
  label: Uint8Array,
): Buffer | 'short' | 'key' | 'tooLong' {
  if (bytes.length > 0 && bytes[0] !== ENCRYPTED) return 'key';
  if (bytes.length < HEADER_BYTES) return 'short';
  const length = bytes.readUInt32BE(1);
  if (length > STREAM_BYTES_MAX) return 'tooLong';
  if (bytes.length < HEADER_BYTES + length) return 'short';
  const head = bytes.subarray(0, HEADER_BYTES);
  const sealed = bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
  return open(keys, sealed, Buffer.concat([head, label])) ?? 'key';
}
