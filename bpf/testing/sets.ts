/** Sets of prefixes, put where the root program looks for them. */
import { native } from '../../adapters/native/native';
import { prefixSet } from '../../core/filter/algebra';
import { buildImage4 } from '../../core/filter/image4';
import { buildImage6 } from '../../core/filter/image6';
import type { Image } from '../../core/filter/types';
import { BPF_MAP_TYPE_ARRAY, u32, type RootProgram } from './program';

/** In the order of `enum prefix_set`. */
export const SETS = ['failsafe', 'allow', 'block', 'shadow'] as const;
export type SetName = (typeof SETS)[number];

const LINE_BYTES = 64;
const SEED = 7;
const BPF_F_MMAPABLE = 1 << 10;
const BPF_F_INNER_MAP = 1 << 12;

async function put(
  root: RootProgram,
  outer: string,
  key: Buffer,
  image: Image | null,
): Promise<void> {
  if (image === null) return root.map(outer).setInner(key, null);
  const inner = native.BpfMap.create({
    type: BPF_MAP_TYPE_ARRAY,
    name: 'set',
    keySize: 4,
    valueSize: LINE_BYTES,
    maxEntries: Math.ceil((image.words.length * 4) / LINE_BYTES),
    flags: BPF_F_MMAPABLE | BPF_F_INNER_MAP,
  });
  inner.mmap().set(new Uint8Array(image.words.buffer, 0, image.words.byteLength));
  await root.map(outer).setInner(key, inner);
  inner.close();
}

/** The prefixes of one set, of both families; of none: the set is absent. */
export async function setSources(
  root: RootProgram,
  name: SetName,
  prefixes: readonly string[],
): Promise<void> {
  const key = u32(SETS.indexOf(name));
  const { v4, v6 } = prefixSet(prefixes);
  await put(root, 'sets4', key, v4.lengths.length > 0 ? buildImage4([v4]) : null);
  await put(root, 'sets6', key, v6.lengths.length > 0 ? buildImage6([v6], SEED) : null);
}
