/** Prefixes of sources in lists, as their users write them: bare, or with a reason and an end. */
import { z } from 'zod';
import { formatInstant, isInstant, parseInstant } from './instant';
import type { PrefixEntry } from './node';
import { formatPrefix, parseAddress, parsePrefix, type Prefix } from './prefix';
import { destination, epochMs, LINE, line, list, parsed, strict } from './schema-parts';

const MAPPED = 0xffffn;

/** IPv4 travels as IPv4: `::ffff:192.0.2.0/120` is 192.0.2.0/24. */
const unmapped = (prefix: Prefix): Prefix =>
  prefix.family === 6 && prefix.length >= 96 && prefix.bits >> 32n === MAPPED
    ? { family: 4, bits: prefix.bits & 0xffff_ffffn, length: prefix.length - 96 }
    : prefix;

/** A prefix, or an address for the prefix that holds it alone. */
export const parseSource = (text: string): Prefix | null => {
  if (text.includes('/')) {
    const prefix = parsePrefix(text);
    return prefix === null ? null : unmapped(prefix);
  }
  const address = parseAddress(text);
  return address === null
    ? null
    : unmapped({ ...address, length: address.family === 4 ? 32 : 128 });
};

const canonicalSource = (text: string): string => {
  const prefix = parseSource(text);
  return prefix === null ? text : formatPrefix(prefix);
};

export const source = parsed(
  (value) => parseSource(value) !== null,
  canonicalSource,
  'a prefix or an address, as 192.0.2.0/24, 192.0.2.1 or 2001:db8::/32',
);

export const instant = z
  .string({ error: 'an instant with its zone, as 2026-12-01T00:00:00Z' })
  .refine((value) => parseInstant(value) !== null, {
    error: 'an instant with its zone, as 2026-12-01T00:00:00Z',
  })
  .meta({ description: 'An instant (ISO 8601), as 2026-12-01T00:00:00Z.' });

const entryMapping = strict({
  prefix: source,
  reason: line.default(''),
  expires: instant.optional(),
});

export const userEntries = (most: number) =>
  list(
    z.union([source, entryMapping], {
      error: 'a prefix, or a mapping of prefix, reason and expires',
    }),
  ).max(most, { error: `at most ${most} entries; more belong into a feed` });

export const normalisedEntry = strict({
  prefix: destination,
  reason: z.string(),
  expiresAtMs: epochMs,
});

type UserEntry = z.output<typeof entryMapping> | string;

/** Epoch ms of an optional instant. */
export const endOf = (text: string | undefined): number | null =>
  text === undefined ? null : parseInstant(text);

export const normaliseEntry = (entry: UserEntry): PrefixEntry =>
  typeof entry === 'string'
    ? { prefix: entry, reason: '', expiresAtMs: null }
    : { prefix: entry.prefix, reason: entry.reason, expiresAtMs: endOf(entry.expires) };

/** Why what is said of a prefix by hand can't be kept; null = it can. */
export const saidRefusal = (reason: string, untilMs: number | null): string | null => {
  if (!LINE.test(reason)) return 'a reason is one line of at most 200 characters';
  return untilMs === null || isInstant(untilMs) ? null : 'there is no date so far away';
};

/** What an entry says besides its prefix; nothing where that is all. */
export const saidOf = (entry: { reason: string; expiresAtMs: number | null }) => ({
  ...(entry.reason === '' ? {} : { reason: entry.reason }),
  ...(entry.expiresAtMs === null ? {} : { expires: formatInstant(entry.expiresAtMs) }),
});

export const userEntry = (entry: PrefixEntry) => {
  const said = saidOf(entry);
  return Object.keys(said).length === 0 ? entry.prefix : { prefix: entry.prefix, ...said };
};
