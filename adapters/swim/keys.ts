/** The keys of a cluster: a file with one in base64 a line. The first one is written with, each of them is read with. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SwimError } from './errors';

export type Keys = readonly Buffer[];

/** AES-128, -192 and -256 (memberlist's ValidateKey). */
const KEY_BYTES = [16, 24, 32];
/** Of a rotation: the old one, the new one, and some that were forgotten. */
const KEYS_MAX = 8;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** Throws SwimError. */
export const readKeys = (path: string): Keys => parse(path, read(path));

const refuse = (path: string, why: string): never => {
  throw new SwimError({ code: 'keys', path, why });
};

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return refuse(path, `can't be read: ${(error as Error).message}`);
  }
}

function parse(path: string, text: string): Keys {
  const lines = text.split('\n').map((line) => line.trim());
  const keys = lines.flatMap((line, i) => {
    if (line === '' || line.startsWith('#')) return [];
    const key = Buffer.from(line, 'base64');
    const sound = BASE64.test(line) && KEY_BYTES.includes(key.length);
    return sound ? [key] : refuse(path, `holds no key in line ${i + 1}`);
  });
  if (keys.length === 0) refuse(path, 'holds no key');
  if (keys.length > KEYS_MAX) refuse(path, `holds more than ${KEYS_MAX} keys`);
  return keys;
}

/** To tell keys apart in a log: 8 digits that say nothing of the key. */
export const fingerprint = (key: Buffer): string =>
  createHash('sha256').update(key).digest('hex').slice(0, 8);

/** It is a line or two: to read it is cheaper than to find out by which of its ways a file was replaced. */
const LOOK_EVERY_MS = 1_000;

export interface KeyWatch {
  onKeys(keys: Keys): void;
  /** What was read before stays in use. */
  onRefused(why: string): void;
}

const namesOf = (keys: Keys): string => keys.map(fingerprint).join();

/** Tells when the keys are others than `read`, and once of a file that holds none; ends with what is returned. */
export function watchKeys(path: string, read: Keys, { onKeys, onRefused }: KeyWatch): () => void {
  let held = namesOf(read);
  let refused = '';
  const timer = setInterval(() => {
    try {
      const keys = readKeys(path);
      refused = '';
      const found = namesOf(keys);
      if (found === held) return;
      held = found;
      onKeys(keys);
    } catch (error) {
      const { message } = error as Error;
      if (message !== refused) onRefused(message);
      refused = message;
    }
  }, LOOK_EVERY_MS);
  return () => clearInterval(timer);
}
