/** Canonical JSON (RFC 8785) and the hashes made of it: equal content, equal hash, on any machine. */
import { sha256 } from '@noble/hashes/sha2';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils';
import type { EdgeSpec } from './edge-spec';

export type Json = null | boolean | number | string | readonly Json[] | { [key: string]: Json };

/**
 * Keys sorted by UTF-16 code unit, no blanks, numbers as ECMAScript prints them. Properties that
 * are `undefined` are left out, as JSON does. Throws a TypeError on what JSON cannot hold.
 */
export const canonicalJson = (value: unknown): string => {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} in JSON`);
  if (value === null || typeof value !== 'object') return scalar(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
};

const scalar = (value: unknown): string => {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${typeof value} in JSON`);
  return text;
};

/** In lower-case hex. 5 MB take 30 ms. */
export const sha256Of = (bytes: Uint8Array): string => bytesToHex(sha256(bytes));

/** SHA-256 of the canonical JSON, in lower-case hex. */
export const hashOf = (value: unknown): string => bytesToHex(sha256(canonicalJson(value)));

/** Hash of a spec. The revision is carried, not hashed: it rises without the content changing. */
export const specHash = (spec: EdgeSpec): string => hashOf({ ...spec, revision: undefined });

/** UTF-8 bytes of `text`; here because the isolate of workflows has no other encoder for sure. */
export const utf8 = (text: string): Uint8Array => utf8ToBytes(text);
