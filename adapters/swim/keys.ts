/** The keys of a cluster: a file with one in base64 a line. The first one is written with, each of them is read with. */
import { readFileSync } from 'node:fs';
import { SwimError } from './errors';

export type Keys = readonly Buffer[];

/** AES-128, -192 and -256 (memberlist's ValidateKey). */
const KEY_BYTES = [16, 24, 32];
/** Of a rotation: the old one, the new one, and some that were forgotten. */
const KEYS_MAX = 8;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

export function readKeys(path: string): Keys {
  const refuse = (why: string): never => {
    throw new SwimError({ code: 'keys', path, why });
  };
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    refuse(`can't be read: ${(error as Error).message}`);
  }
  const lines = text.split('\n').map((line) => line.trim());
  const keys = lines.flatMap((line, i) => {
    if (line === '' || line.startsWith('#')) return [];
    const key = Buffer.from(line, 'base64');
    const sound = BASE64.test(line) && KEY_BYTES.includes(key.length);
    return sound ? [key] : refuse(`holds no key in line ${i + 1}`);
  });
  if (keys.length === 0) refuse('holds no key');
  if (keys.length > KEYS_MAX) refuse(`holds more than ${KEYS_MAX} keys`);
  return keys;
}
