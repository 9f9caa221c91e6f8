/** What the look-ups claim: each of ours beside a peer that was measured in the same rounds. */
import type { Figure } from '../common/figures';
import { HASH, OURS, TRIE, TWO_BITS, type Family } from './designs';
import type { Row } from './measure';
import type { Kind } from './lists';

const MIB = 2 ** 20;

/** Of a list, in words: `1000000 IPv4`. */
const listOf = (prefixes: number, family: Family): string => `${prefixes} IPv${family} prefixes`;

function rowOf(rows: readonly Row[], family: Family, prefixes: number, design: string): Row {
  const found = rows.find(
    (row) => row.family === family && row.prefixes === prefixes && row.design === design,
  );
  if (!found) throw new Error(`${design} was not measured with ${listOf(prefixes, family)}`);
  return found;
}

/** Against the best peer of the same kind, and against what an XDP filter mostly takes. */
const LOOKUPS: readonly { family: Family; kind: Kind; peer: string; atMost: number }[] = [
  { family: 4, kind: 'hit', peer: TWO_BITS, atMost: 0.6 },
  { family: 4, kind: 'hit', peer: TRIE, atMost: 0.1 },
  { family: 4, kind: 'miss', peer: TWO_BITS, atMost: 1.5 },
  { family: 4, kind: 'miss', peer: TRIE, atMost: 0.1 },
  { family: 6, kind: 'hit', peer: HASH, atMost: 0.9 },
  { family: 6, kind: 'hit', peer: TRIE, atMost: 0.3 },
  { family: 6, kind: 'miss', peer: HASH, atMost: 1.2 },
  { family: 6, kind: 'miss', peer: TRIE, atMost: 0.3 },
];

const WORDS: Readonly<Record<Kind, string>> = {
  hit: 'a listed address is looked up',
  hot: 'one of a thousand listed addresses is looked up',
  miss: 'an address that is not listed is looked up',
};

/** Of the largest list. */
export function figuresOf(rows: readonly Row[]): Figure[] {
  const sizes = rows.map(({ prefixes }) => prefixes);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const of = (family: Family, design: string): Row => rowOf(rows, family, most, design);
  const lookups = LOOKUPS.map(({ family, kind, peer, atMost }): Figure => ({
    claim: `Among ${listOf(most, family)} ${WORDS[kind]}: time beside ${peer}`,
    unit: 'ns',
    bar: { measure: 'ratio', atMost },
    samples: of(family, OURS).ns[kind],
    peer: { name: peer, samples: of(family, peer).ns[kind] },
  }));
  const single = (
    claim: string,
    unit: string,
    atMost: number,
    ours: number,
    peer: Row,
    theirs: number,
  ): Figure => ({
    claim,
    unit,
    bar: { measure: 'max', atMost },
    samples: [ours],
    peer: { name: peer.design, samples: [theirs] },
  });
  const [ours, twoBits] = [of(4, OURS), of(4, TWO_BITS)];
  const list = listOf(most, 4);
  return [
    ...lookups,
    {
      claim: `Among ${list} ${WORDS.miss}: time beside a list of ${least}`,
      unit: 'ns',
      bar: { measure: 'ratio', atMost: 3 },
      samples: ours.ns.miss,
      peer: { name: `${least} prefixes`, samples: rowOf(rows, 4, least, OURS).ns.miss },
    },
    single(
      `${list} are brought into the kernel: CPU time`,
      'ms',
      500,
      ours.fillCpuMs,
      twoBits,
      twoBits.fillCpuMs,
    ),
    single(
      `${list} in the kernel: memory`,
      'MiB',
      16,
      ours.bytes / MIB,
      twoBits,
      twoBits.bytes / MIB,
    ),
    {
      claim: `One host more or less among ${list}: wall time`,
      unit: 'µs',
      bar: { measure: 'median', atMost: 50 },
      samples: ours.updateUs,
      peer: { name: TRIE, samples: of(4, TRIE).updateUs },
    },
  ];
}
