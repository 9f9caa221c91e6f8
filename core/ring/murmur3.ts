/** By itself: the bfd process begins with it, and loads no library before its sessions go on. */
const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

const rotateLeft = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

const scramble = (block: number): number => Math.imul(rotateLeft(Math.imul(block, C1), 15), C2);

/** Avalanche: every input bit reaches every output bit. */
const finish = (hash: number): number => {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

/** MurmurHash3_x86_32 (Appleby, smhasher) as an unsigned 32 bit number. */
export const murmur3 = (bytes: Uint8Array, seed = 0): number => {
  const at = (index: number): number => bytes[index] ?? 0;
  const tail = bytes.length & ~3;
  let h = seed | 0;
  for (let i = 0; i < tail; i += 4) {
    const block = at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24);
    h = (Math.imul(rotateLeft(h ^ scramble(block), 13), 5) + 0xe6546b64) | 0;
  }
  if (tail < bytes.length) h ^= scramble(at(tail) | (at(tail + 1) << 8) | (at(tail + 2) << 16));
  return finish(h ^ bytes.length);
};

/** As `murmur3` of the text's UTF-8, without making bytes of it; null where it is not ASCII. */
export function murmur3Ascii(text: string): number | null {
  const { length } = text;
  const tail = length & ~3;
  let seen = 0;
  let h = 0;
  for (let i = 0; i < tail; i += 4) {
    const [a, b] = [text.charCodeAt(i), text.charCodeAt(i + 1)];
    const [c, d] = [text.charCodeAt(i + 2), text.charCodeAt(i + 3)];
    seen |= a | b | c | d;
    const block = a | (b << 8) | (c << 16) | (d << 24);
    h = (Math.imul(rotateLeft(h ^ scramble(block), 13), 5) + 0xe6546b64) | 0;
  }
  let last = 0;
  for (let i = tail; i < length; i++) {
    const code = text.charCodeAt(i);
    seen |= code;
    last |= code << (8 * (i - tail));
  }
  if (seen > 0x7f) return null;
  return finish((tail < length ? h ^ scramble(last) : h) ^ length);
}
