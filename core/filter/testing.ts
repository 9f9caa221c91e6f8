/** For tests of sets: lists that meet one another, the addresses where they could go wrong, and the model. */
import fc from 'fast-check';
import { contains, type Family, formatPrefix, network, parsePrefix } from '../model/prefix';

export const WIDTH = { 4: 32, 6: 128 } as const;
export interface Drawn {
  family: Family;
  bits: bigint;
  length: number;
}

/** Prefixes that meet one another: few networks, many hosts in them, and all lengths. */
const drawn = fc
  .record({
    family: fc.constantFrom<Family>(4, 6),
    top: fc.constantFrom(0n, 5n, 0x80n, 0xffn),
    middle: fc.constantFrom(0n, 1n, 2n, 31n, 32n),
    host: fc.bigInt(0n, 255n),
    length: fc.oneof(
      { weight: 3, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.constant(8) },
      { weight: 1, arbitrary: fc.nat(128) },
    ),
  })
  .map(({ family, top, middle, host, length }): Drawn => {
    const width = WIDTH[family];
    const bits = (top << BigInt(width - 8)) | (middle << 8n) | host;
    return { family, bits, length: width - Math.min(length, width) };
  });
export const text = (prefix: Drawn): string => formatPrefix(network(prefix));
/** Up to 25 prefixes of both families, as text. */
export const layer = fc.array(drawn.map(text), { maxLength: 25 });

export type Address = Pick<Drawn, 'family' | 'bits'>;
/** In network order. */
export const bytesOf = ({ family, bits }: Address): Uint8Array =>
  Uint8Array.from({ length: WIDTH[family] / 8 }, (_, i) =>
    Number((bits >> BigInt(WIDTH[family] - 8 * (i + 1))) & 0xffn),
  );

/** The model: one after another. */
export const holds = (texts: readonly string[], address: Address): boolean =>
  texts.some((one) => contains(parsePrefix(one)!, address));

/** First, last and next addresses of all prefixes, and the ends of the address spaces. */
export function edges(texts: readonly string[]): Address[] {
  const ends = ([4, 6] as const).flatMap((family) => [
    { family, bits: 0n },
    { family, bits: (1n << BigInt(WIDTH[family])) - 1n },
  ]);
  const around = texts.flatMap((one) => {
    const { family, bits, length } = parsePrefix(one)!;
    const last = bits + (1n << BigInt(WIDTH[family] - length)) - 1n;
    return [bits - 1n, bits, bits + 1n, last, last + 1n]
      .filter((at) => at >= 0n && at < 1n << BigInt(WIDTH[family]))
      .map((at) => ({ family, bits: at }));
  });
  return [...ends, ...around];
}

export const show = ({ family, bits }: Address): string =>
  formatPrefix({ family, bits, length: WIDTH[family] });

/** So many prefixes, `step` apart. */
export function hosts(
  count: number,
  from: bigint,
  step = 1n,
  length = 32,
  family: Family = 4,
): string[] {
  return Array.from({ length: count }, (_, i) =>
    formatPrefix({ family, bits: from + BigInt(i) * step, length }),
  );
}
