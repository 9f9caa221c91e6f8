/** A second instance of the program, to be asked what would be: it meets what the live one meets. */
import { native } from '../native';
import { CONFIG, SETS } from './abi';
import { settingsOf } from './config';
import { key32, type FilterMaps } from './filter-maps';

/** The kernel's test runs take no more. */
export const TEST_RUN_MAX_BYTES = 3500;

/** The very same sets and rules, a copy of the settings; each packet that it judges is a sample. */
export async function share(from: FilterMaps, to: FilterMaps): Promise<void> {
  for (const family of [4, 6] as const) {
    const outer = family === 4 ? ('sets4' as const) : ('sets6' as const);
    for (const slot of SETS.keys()) await lend(from.innerId(outer, slot), to, outer, slot);
  }
  await lend(from.innerId('rules', 0), to, 'rules', 0);
  settingsOf(from.config).copy(to.config);
  to.config.writeUInt32LE(0, CONFIG.sample_mask);
}

async function lend(
  id: number,
  to: FilterMaps,
  outer: 'sets4' | 'sets6' | 'rules',
  slot: number,
): Promise<void> {
  if (id === 0) return;
  const inner = native.BpfMap.openById(id);
  try {
    await to.outerNamed(outer).setInner(key32(slot), inner);
  } finally {
    inner.close();
  }
}
