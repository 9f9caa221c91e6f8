/** The look-ups of bpf/include/set4.h and set6.h, run by the kernel, against a list that is walked. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { prefixSet } from '../../core/filter/algebra';
import { LINE_WORDS } from '../../core/filter/lines';
import {
  type Address,
  bytesOf,
  edges,
  holds,
  hosts,
  layer,
  show,
  text,
} from '../../core/filter/testing';
import { type SetChange, TrueSet } from '../../core/filter/true-set';
import type { Image, WordWrite } from '../../core/filter/types';
import type { Family } from '../../core/model/prefix';
import { type BpfMap, type BpfObject, native } from './native';

const OBJECT = join(__dirname, '../../../bpf/build/testing/sets.bpf.o');
const SEED = 0xbeef;
const SET_BLOCK = Uint8Array.of(2, 0, 0, 0);
const BPF_MAP_TYPE_ARRAY = 2;
const BPF_F_MMAPABLE = 1 << 10;
const BPF_F_INNER_MAP = 1 << 12;
const LINE_BYTES = LINE_WORDS * 8;
const XDP_DROP = 1;
const XDP_PASS = 2;

let object: BpfObject;
before(async () => {
  object = await native.BpfObject.load(readFileSync(OBJECT), null, null);
});
after(() => object.close());

/** One family of a set in the kernel. */
class Loaded {
  private inner: BpfMap | null = null;
  constructor(private readonly family: Family) {}

  async load(image: Image): Promise<void> {
    const former = this.inner;
    this.inner = native.BpfMap.create({
      type: BPF_MAP_TYPE_ARRAY,
      name: `set${this.family}`,
      keySize: 4,
      valueSize: LINE_BYTES,
      maxEntries: (image.words.length * 4) / LINE_BYTES,
      flags: BPF_F_MMAPABLE | BPF_F_INNER_MAP,
    });
    this.inner.mmap().set(new Uint8Array(image.words.buffer));
    await object.map(`sets${this.family}`).setInner(SET_BLOCK, this.inner);
    former?.close();
  }

  async change(change: SetChange | null): Promise<void> {
    if (change?.kind === 'image') await this.load(change.image);
    if (change?.kind === 'writes') this.write(change.writes);
  }

  private write(writes: readonly WordWrite[]): void {
    const bytes = this.inner!.mmap();
    const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
    for (const { word, low, high } of writes) words[word] = (BigInt(high) << 32n) | BigInt(low);
  }

  async clear(): Promise<void> {
    await object.map(`sets${this.family}`).setInner(SET_BLOCK, null);
    this.inner?.close();
  }
}

const ADDRESS_AT = 16;
const programs = new Map<Family, ReturnType<BpfObject['program']>>();

/** What a packet from this address meets. */
function meets(address: Address): boolean {
  const { family, bits } = address;
  const frame = Buffer.alloc(64);
  if (family === 4) frame.writeUInt32LE(Number(bits), ADDRESS_AT);
  else {
    frame.writeBigUInt64LE(bits >> 64n, ADDRESS_AT);
    frame.writeBigUInt64LE(bits & 0xffff_ffff_ffff_ffffn, ADDRESS_AT + 8);
  }
  const program = programs.get(family) ?? object.program(`ask${family}`);
  programs.set(family, program);
  const { verdict } = program.testRun(frame, 1);
  assert.ok(verdict === XDP_DROP || verdict === XDP_PASS, `${show(address)}: verdict ${verdict}`);
  return verdict === XDP_DROP;
}

function agrees(set: TrueSet, texts: readonly string[], addresses: readonly Address[]): void {
  for (const address of addresses) {
    const wanted = holds(texts, address);
    assert.equal(meets(address), wanted, show(address));
    assert.equal(set.has(bytesOf(address)), wanted, show(address));
  }
}

/** A set of these lists in the kernel, gone at the end. */
async function withSet(
  lists: readonly string[][],
  work: (
    set: TrueSet,
    edit: (overlay: readonly string[], nowMs: number) => Promise<void>,
  ) => Promise<void> | void,
): Promise<void> {
  const set = new TrueSet(lists.map(prefixSet), prefixSet([]), SEED);
  const [four, six] = [new Loaded(4), new Loaded(6)];
  try {
    if (set.image4) await four.load(set.image4);
    if (set.image6) await six.load(set.image6);
    await work(set, async (overlay, nowMs) => {
      const { v4, v6 } = set.setOverlay(prefixSet(overlay), nowMs);
      await four.change(v4);
      await six.change(v6);
    });
  } finally {
    await Promise.all([four.clear(), six.clear()]);
  }
}

test('an absent set holds nothing', () => {
  for (const address of edges(['10.0.0.1/32', '2001:db8::/32']))
    assert.equal(meets(address), false);
});

test('the kernel finds what a walk through the lists finds, after any edits', async () => {
  const steps = fc.array(fc.tuple(layer, fc.nat(1500)), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.array(layer, { maxLength: 2 }), steps, async (lists, overlays) => {
      const list = lists.flat();
      const addresses = edges([...list, ...overlays.flatMap(([one]) => one)]);
      await withSet(lists, async (set, edit) => {
        agrees(set, list, addresses);
        let nowMs = 0;
        for (const [overlay, laterMs] of overlays) {
          await edit(overlay, (nowMs += laterMs));
          agrees(set, [...list, ...overlay], addresses);
        }
      });
    }),
    { numRuns: 60 },
  );
});

for (const [what, texts] of Object.entries({
  'all addresses': ['0.0.0.0/0', '::/0'],
  'the unspecified addresses': ['0.0.0.0/32', '::/128'],
  'all 129 lengths of IPv6': Array.from({ length: 129 }, (_, length) =>
    text({ family: 6, bits: (BigInt(length) << 120n) | 1n, length }),
  ),
  'a /24 full of hosts but one': hosts(256, 0x0a000000n).filter((one) => one !== '10.0.0.77/32'),
  'more of a /19 than its word holds': [...hosts(7, 0x0a000000n), ...hosts(8, 0x0a000100n)],
})) {
  test(`the kernel finds ${what}`, async () => {
    await withSet([texts], (set) => agrees(set, texts, edges(texts)));
  });
}

test('the kernel finds each of 30,000 keys where its bucket was full, and no other', async () => {
  const [network, step] = [0x2001_0db8n << 96n, 0x1_0000_0001n];
  const texts = [
    ...hosts(15_000, network, step, 128, 6),
    ...hosts(15_000, network, 1n << 64n, 64, 6),
  ];
  await withSet([texts], () => {
    for (let i = 0n; i < 15_000n; i++) {
      assert.ok(meets({ family: 6, bits: network + i * step }));
      assert.ok(meets({ family: 6, bits: network + (i << 64n) + 7n }));
      assert.ok(!meets({ family: 6, bits: (network | (1n << 90n)) + i * step }));
    }
  });
});
