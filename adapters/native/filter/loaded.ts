/**
 * What the maps of one interface hold: brought there, held against what is there now, and put back.
 * The order of steps: docs/notes/filter.md, "Who brings it there".
 */
import { createHash } from 'node:crypto';
import { contains, prefixSet } from '../../../core/filter/algebra';
import { contentsHash, type FilterContents } from '../../../core/filter/contents';
import { CONFIG, encodeConfig, encodeRules, SETS, type SetName } from './abi';
import { relax, settingsOf, settle, sign, signatureOf, unsign } from './config';
import { key32, type Family, type FilterMaps } from './filter-maps';
import { isEmpty, type HeldSet } from './held-set';
import { recipesOf } from './recipes';

export type Sets = Record<SetName, HeldSet | null>;
const FAMILIES = [4, 6] as const;
/** Sets that spare sources: they grow before others grow, and shrink after others have shrunk. */
const SPARING = ['failsafe', 'allow'] as const;
const DROPPING = ['block', 'shadow'] as const;

export interface Loaded {
  contents: FilterContents;
  sets: Sets;
  config: Buffer;
  rules: Buffer;
}

export function loadedOf(contents: FilterContents, sets: Sets): Loaded {
  const recipes = recipesOf(contents);
  const holds = (name: SetName): boolean => recipes[name] !== null && !isEmpty(recipes[name]);
  const held = new Set(SETS.filter((name) => sets[name] !== null && holds(name)));
  return {
    contents,
    sets,
    config: encodeConfig(contents, held),
    rules: encodeRules(contents.rules),
  };
}

/** Equal where only prefixes that are allowed or blocked one by one differ. */
export const hashButSingles = (contents: FilterContents): string =>
  contentsHash({ ...contents, allow: { ...contents.allow, prefixes: [] }, blocks: [] });

const idIn = (sets: Sets, name: SetName, family: Family): number =>
  sets[name]?.map(family)?.id ?? 0;
const outerName = (family: Family) => (family === 4 ? ('sets4' as const) : ('sets6' as const));
const hasRules = ({ contents }: Loaded): boolean => contents.rules.entries.length > 0;

/** Puts a set where packets look it up, where it isn't yet. */
export async function place(maps: FilterMaps, name: SetName, held: HeldSet | null): Promise<void> {
  const slot = SETS.indexOf(name);
  for (const family of FAMILIES) {
    const map = held?.map(family) ?? null;
    if (maps.innerId(outerName(family), slot) === (map?.id ?? 0)) continue;
    await maps.outer(family).setInner(key32(slot), map?.map ?? null);
  }
}

/** What spares sources now and what is to, together; null where the latter holds all of the former. */
export function growth(
  before: Loaded,
  after: Loaded,
  name: (typeof SPARING)[number],
): string[] | null {
  const of = ({ sets }: Loaded): readonly string[] => sets[name]?.recipe.singles ?? [];
  if (contains(prefixSet(of(after)), prefixSet(of(before)))) return null;
  return [...new Set([...of(before), ...of(after)])].sort();
}

/**
 * `both`: for a sparing set that loses something, one that holds what it had and what it shall have;
 * absent where nothing is known of what was there. Throws what the kernel says; then each set is the
 * former or the new one.
 */
export async function bring(
  maps: FilterMaps,
  wanted: Loaded,
  both: Partial<Record<SetName, HeldSet>>,
): Promise<void> {
  unsign(maps.config);
  for (const name of SPARING) await place(maps, name, both[name] ?? wanted.sets[name]);
  relax(maps.config, wanted.config);
  await bringRules(maps, wanted);
  for (const name of DROPPING) await place(maps, name, wanted.sets[name]);
  maps.services.add(wanted.contents.services);
  maps.reflect.add(wanted.contents.reflect);
  settle(maps.config, wanted.config);
  maps.services.keepOnly(wanted.contents.services);
  maps.reflect.keepOnly(wanted.contents.reflect);
  for (const name of SPARING) await place(maps, name, wanted.sets[name]);
}

async function bringRules(maps: FilterMaps, wanted: Loaded): Promise<void> {
  const there = maps.readRules();
  if (there ? there.equals(wanted.rules) : !hasRules(wanted)) return;
  await maps.setRules(wanted.rules);
}

/** Of what a new agent would find: the words of all sets, the rules, the settings. */
export function checksum({ sets, config, rules }: Loaded): string {
  const hash = createHash('sha256');
  for (const name of SETS) hash.update(`${name} ${sets[name]?.digest() ?? 'none'};`);
  return hash.update(rules).update(settingsOf(config)).digest('hex');
}

export const signLoaded = (maps: FilterMaps, loaded: Loaded): void =>
  sign(maps.config, contentsHash(loaded.contents), checksum(loaded));

export const isContent = (maps: FilterMaps, contents: FilterContents): boolean =>
  signatureOf(maps.config).content === contentsHash(contents);

/** Of the same contents, in the same maps. */
export const isSame = (a: Loaded | null, b: Loaded): boolean =>
  a !== null &&
  contentsHash(a.contents) === contentsHash(b.contents) &&
  SETS.every((name) => a.sets[name] === b.sets[name]);

/** Maps that nobody has filled yet: counts only. */
export function fillPlain(maps: FilterMaps): void {
  if (maps.config.readUInt32LE(CONFIG.abi) !== 0) return;
  const plain: FilterContents = {
    interface: '',
    failsafe: [],
    allow: { mode: 'enforce', prefixes: [] },
    lists: [],
    blocks: [],
    rules: { mode: 'enforce', entries: [] },
    rateLimit: null,
    malformed: 'pass',
    sampleEvery: 0,
    track: null,
    reflect: [],
    services: [],
  };
  const { config } = loadedOf(plain, { failsafe: null, allow: null, block: null, shadow: null });
  relax(maps.config, config);
  settle(maps.config, config);
}

/** Whether the maps say of themselves that they hold just this, and do. */
export function isSigned(maps: FilterMaps, loaded: Loaded): boolean {
  const { content, checksum: signed } = signatureOf(maps.config);
  return content === contentsHash(loaded.contents) && signed === checksum(loaded);
}

export interface Difference {
  state: 'edited' | 'missing';
  /** For people. */
  detail: string;
}

const edited = (detail: string): Difference => ({ state: 'edited', detail });

function swapped(maps: FilterMaps, loaded: Loaded): Difference | null {
  for (const [slot, name] of SETS.entries()) {
    for (const family of FAMILIES) {
      const [is, wanted] = [maps.innerId(outerName(family), slot), idIn(loaded.sets, name, family)];
      if (is === wanted) continue;
      const set = `the ${name} set of ${outerName(family)}`;
      return is === 0
        ? { state: 'missing', detail: `${set} has been taken away` }
        : edited(`${set} has been replaced`);
    }
  }
  return null;
}

/** What differs from what we have put there; null: nothing. */
export function difference(maps: FilterMaps, loaded: Loaded): Difference | null {
  const found = swapped(maps, loaded);
  if (found) return found;
  for (const name of SETS) {
    for (const family of FAMILIES) {
      if (loaded.sets[name]?.map(family)?.differs()) {
        return edited(`the ${name} set of ${outerName(family)} has been written to`);
      }
    }
  }
  const rules = maps.readRules();
  if (!rules && hasRules(loaded))
    return { state: 'missing', detail: 'the rules have been taken away' };
  if (rules && !rules.equals(loaded.rules)) return edited('the rules have been changed');
  if (!maps.services.areOnly(loaded.contents.services))
    return edited('the counted services have been changed');
  if (!maps.reflect.areOnly(loaded.contents.reflect))
    return edited('the peers whose Seamless BFD is answered have been changed');
  const isSame = settingsOf(maps.config).equals(settingsOf(loaded.config));
  return isSame ? null : edited('the config has been changed');
}

/** Puts back what others have changed; nothing is built anew. */
export async function restore(maps: FilterMaps, loaded: Loaded): Promise<void> {
  for (const name of SETS) {
    for (const family of FAMILIES) loaded.sets[name]?.map(family)?.restore();
  }
  await bring(maps, loaded, {});
}
