/**
 * What the filter of one interface shall hold, small: lists of prefixes are named by their hash. Made
 * from an EdgeSpec, the edge's own overrides and the time; equal contents have equal hashes.
 */
import type { EdgeSpec } from '../model/edge-spec';
import { hashOf } from '../model/hash';
import type { FilterSpec, RuleMode } from '../model/node';
import { peersOf } from '../model/peers';
import { reflectorDiscriminator } from '../bfd/discriminator';

/** A list in the edge's store of blobs (core/filter/blob.ts). */
export interface ListRef {
  name: string;
  mode: RuleMode;
  /** SHA-256 of the packed blob, hex. */
  sha256: string;
  count: number;
}

export interface FilterContents {
  interface: string;
  /** Canonical prefixes: the spec's, its peers', the controllers', and what else must not be lost. */
  failsafe: string[];
  allow: { mode: RuleMode; prefixes: string[] };
  lists: ListRef[];
  /** Single prefixes, by hand: `aether block`, `aether edge block`; expired ones are left out. */
  blocks: string[];
  rules: FilterSpec['rules'];
  rateLimit: FilterSpec['rateLimit'];
  malformed: FilterSpec['malformed'];
  /** 1 of so many packets of each reason is sampled; a power of two, 0 = none. */
  sampleEvery: number;
  track: FilterSpec['latency'];
  /** Whose Seamless BFD the program answers; sorted by `peer` and `local`. */
  reflect: ReflectPeer[];
  /** Addresses of services: what passes to them is counted. Canonical, sorted as text. */
  services: string[];
}

/** One BFD peer of the spec that is `seamless`, as the reflector knows it. Addresses canonical. */
export interface ReflectPeer {
  peer: string;
  /** Our address that it asks, and that address's discriminator. */
  local: string;
  discriminator: number;
  /** Only what crossed no router is answered. */
  singleHop: boolean;
  /** The answer is AdminDown. */
  outOfService: boolean;
}

/** By hand on this edge (`aether edge block`, `aether edge allow`), merged over the spec. */
export interface Override {
  /** Canonical; at most one override a prefix. */
  prefix: string;
  verdict: 'block' | 'allow';
  reason: string;
  sinceMs: number;
  /** Epoch ms from which on it counts no more; null = until it is taken back. */
  untilMs: number | null;
}

/** One sample in so many packets of a reason: a flood of 1 Mpps fills the ring in half a second. */
export const SAMPLE_EVERY = 256;

/** Of each family (SERVICES_MAX of bpf/include/consts.h). Those beyond are not counted. */
export const SERVICES_MAX = 1024;

/** Of bpf/include/consts.h. */
export const REFLECT_MAX = 256;

/** What an EdgeSpec says of filters, and no more. */
export type FilterPart = Pick<
  EdgeSpec,
  'filters' | 'blocklists' | 'blocks' | 'bgp' | 'bfdPeers' | 'services'
>;

/**
 * One for each filter of the spec, in its order; prefixes sorted as text, each once. An allowing
 * override spares its prefix even where the spec's allowed sources only count: it counts as failsafe
 * there. `extraFailsafe`: canonical prefixes of whoever the agent must not lose.
 */
export function contentsOf(
  spec: FilterPart,
  overrides: readonly Override[],
  extraFailsafe: readonly string[],
  nowMs: number,
): FilterContents[] {
  const live = overrides.filter(({ untilMs }) => counts(untilMs, nowMs));
  const by = (verdict: Override['verdict']): string[] =>
    live.filter((override) => override.verdict === verdict).map(({ prefix }) => prefix);
  const listed = spec.blocks.filter(({ untilMs }) => counts(untilMs, nowMs));
  const blocks = sorted([...listed.map(({ prefix }) => prefix), ...by('block')]);
  const lists = spec.blocklists
    .map(({ name, mode, blob }) => ({ name, mode, sha256: blob.sha256, count: blob.count }))
    .sort((a, b) => compare(a.mode, b.mode) || compare(a.name, b.name));
  const always = [...peersOf(spec).map(({ prefix }) => prefix), ...extraFailsafe];
  const services = countedServices(spec);
  const reflect = reflectPeers(spec);
  return spec.filters.map((filter) => {
    const { allow, rules } = filter;
    const allowed = liveEntries(allow.entries, nowMs).map(({ prefix }) => prefix);
    const counted = allow.mode === 'count';
    return {
      interface: filter.interface,
      failsafe: sorted([...filter.failsafe, ...always, ...(counted ? by('allow') : [])]),
      allow: {
        mode: allow.mode,
        prefixes: sorted([...allowed, ...(counted ? [] : by('allow'))]),
      },
      lists,
      blocks,
      rules: { mode: rules.mode, entries: liveEntries(rules.entries, nowMs) },
      rateLimit: filter.rateLimit,
      malformed: filter.malformed,
      sampleEvery: SAMPLE_EVERY,
      track: filter.latency,
      reflect,
      services,
    };
  });
}

/** Those beyond REFLECT_MAX are not answered; more than that are refused before. */
function reflectPeers({ bfdPeers }: FilterPart): ReflectPeer[] {
  const seamless = bfdPeers.flatMap((peer) => {
    const { address, local, mode, multihop, outOfService = false } = peer;
    if (mode !== 'seamless' || local === undefined) return [];
    const discriminator = reflectorDiscriminator(local);
    return [{ peer: address, local, discriminator, singleHop: !multihop, outOfService }];
  });
  const key = ({ peer, local }: ReflectPeer): string => `${peer} ${local}`;
  return seamless.sort((a, b) => compare(key(a), key(b))).slice(0, REFLECT_MAX);
}

function countedServices({ services }: FilterPart): string[] {
  const all = sorted(services.flatMap(({ addresses }) => addresses));
  const ofFamily = (ipv6: boolean): string[] =>
    all.filter((address) => address.includes(':') === ipv6).slice(0, SERVICES_MAX);
  return sorted([...ofFamily(false), ...ofFamily(true)]);
}

/** Epoch ms at which `contentsOf` next answers otherwise by time alone; Infinity: never. */
export function nextExpiryMs(
  spec: FilterPart,
  overrides: readonly Override[],
  nowMs: number,
): number {
  let next = Infinity;
  const note = (atMs: number | null): void => {
    if (atMs !== null && atMs > nowMs && atMs < next) next = atMs;
  };
  for (const { untilMs } of overrides) note(untilMs);
  for (const { untilMs } of spec.blocks) note(untilMs);
  for (const { allow, rules } of spec.filters) {
    for (const { expiresAtMs } of allow.entries) note(expiresAtMs);
    for (const { expiresAtMs } of rules.entries) note(expiresAtMs);
  }
  return next;
}

/** SHA-256, hex: what the config map carries as `content` (bpf/include/structs.h). */
export const contentsHash = (contents: FilterContents): string => hashOf(contents);

/** Whether something with that end still counts. */
export const counts = (untilMs: number | null, nowMs: number): boolean =>
  untilMs === null || nowMs < untilMs;

const liveEntries = <T extends { expiresAtMs: number | null }>(
  entries: readonly T[],
  nowMs: number,
): T[] => entries.filter(({ expiresAtMs }) => counts(expiresAtMs, nowMs));

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const sorted = (prefixes: readonly string[]): string[] => [...new Set(prefixes)].sort(compare);
