/** The Blocklist resource as its users write it, and the one source of its JSON Schema. */
import { z } from 'zod';
import type { BlocklistResource, FeedSpec } from './blocklist';
import { BYTES, formatBytes, parseBytes } from './bytes';
import { checkEntries, entryPrefixes } from './checks-filter';
import { formatDuration, parseDuration } from './duration';
import { pathText, type Issue } from './issues';
import { API_VERSION } from './node';
import {
  endOf,
  normalisedEntry,
  normaliseEntry,
  parseSource,
  userEntries,
  userEntry,
} from './prefix-entry';
import {
  duration,
  DURATION_EXPECTED,
  label,
  labelMap,
  labels,
  list,
  ruleMode,
  strict,
  text,
  whole,
} from './schema-parts';
import { type At, elements, member } from './view';
import { issuesOf } from './zod-issues';

/** In the resource itself, which is one value in etcd; more belong into a feed. */
const ENTRIES_MAX = 1_000;
const MIB = 2 ** 20;
const MINUTE = 60_000;
const DAY = 86_400_000;
const PREFIXES_MAX = 10_000_000;

export const DEFAULT_FEED = {
  format: 'auto',
  column: 1,
  refreshMs: 3_600_000,
  maxBytes: 64 * MIB,
  maxPrefixes: 1_000_000,
  maxShrinkPercent: 50,
} as const satisfies Omit<FeedSpec, 'url'>;

const url = text(
  /^(https?:\/\/[^\s/?#]+\S*|file:\/\/\/\S+)$/,
  'https://…, http://…, or file:///… on the hosts of the controllers',
);
const format = z.enum(['auto', 'plain', 'csv'], { error: 'auto, plain or csv' });
const column = whole(1, 100, 'the number of a column, from 1 to 100');
const maxPrefixes = whole(1, PREFIXES_MAX, `a whole number from 1 to ${PREFIXES_MAX}`);
const maxShrinkPercent = whole(0, 100, 'a whole number from 0 to 100');

const BYTES_EXPECTED = 'a size with its unit, as 512KiB or 64MiB; 1B to 1GiB';
const size = text(BYTES, BYTES_EXPECTED).refine(
  (value) => {
    const bytes = parseBytes(value);
    return bytes === null || (bytes >= 1 && bytes <= 1024 * MIB);
  },
  { error: BYTES_EXPECTED },
);

const userFeed = strict({
  url,
  format: format.default(DEFAULT_FEED.format),
  column: column.default(DEFAULT_FEED.column),
  refresh: duration(MINUTE, 30 * DAY, `${DURATION_EXPECTED}; 1m to 30d`).default(
    formatDuration(DEFAULT_FEED.refreshMs),
  ),
  maxBytes: size.default(formatBytes(DEFAULT_FEED.maxBytes)),
  maxPrefixes: maxPrefixes.default(DEFAULT_FEED.maxPrefixes),
  maxShrinkPercent: maxShrinkPercent.default(DEFAULT_FEED.maxShrinkPercent),
}).meta({ description: 'A list that somebody else keeps; the last good one stands.' });

const SELECTOR_EMPTY =
  'at least one label: an empty selector would block on every node, which nobody should do by leaving something out';

const nodes = labelMap.refine((value) => Object.keys(value).length > 0, { error: SELECTOR_EMPTY });

const userBlocklist = strict({
  apiVersion: z.literal(API_VERSION, { error: API_VERSION }),
  kind: z.literal('Blocklist', { error: 'Blocklist' }),
  metadata: strict({ name: label, labels }),
  spec: strict({
    nodes: nodes.meta({
      description: 'Labels that a node must have, all of them.',
      minProperties: 1,
    }),
    mode: ruleMode.default('enforce'),
    entries: userEntries(ENTRIES_MAX).default([]),
    feed: userFeed.optional(),
  }),
}).meta({
  id: 'Blocklist',
  title: 'Aether Blocklist',
  description: 'Sources whose packets are dropped in the driver, on the nodes that it selects.',
});

/** As etcd holds it: everything said. */
export const normalisedBlocklist = strict({
  ...userBlocklist.shape,
  spec: strict({
    nodes,
    mode: ruleMode,
    entries: list(normalisedEntry),
    feed: strict({
      url,
      format,
      column,
      refreshMs: whole(1_000, 30 * DAY, 'ms'),
      maxBytes: whole(1, 1024 * MIB, 'bytes'),
      maxPrefixes,
      maxShrinkPercent,
    }).nullable(),
  }),
});

type User = z.output<typeof userBlocklist>;

const normaliseFeed = (feed: NonNullable<User['spec']['feed']>): FeedSpec => {
  const { refresh, maxBytes, ...rest } = feed;
  return { ...rest, refreshMs: parseDuration(refresh) ?? 0, maxBytes: parseBytes(maxBytes) ?? 0 };
};

const normalise = (user: User): BlocklistResource => {
  const { nodes, mode, entries, feed } = user.spec;
  return {
    ...user,
    spec: {
      nodes,
      mode,
      entries: entries.map(normaliseEntry),
      feed: feed === undefined ? null : normaliseFeed(feed),
    },
  };
};

const issueAt = ({ path }: At<unknown>, message: string, expected: string): Issue => ({
  path,
  code: 'contradiction',
  message,
  expected,
});

/** A temporary entry is handed to the edges as a block of its own, and blocks are enforced. */
const checkExpiry = (spec: At<unknown>): Issue[] => {
  if (member(spec, 'mode').value !== 'count') return [];
  return elements(member(spec, 'entries'))
    .map((entry) => member(entry, 'expires'))
    .filter(({ value }) => typeof value === 'string' && endOf(value) !== null)
    .map((at) =>
      issueAt(at, 'a list in mode count drops nobody, so nothing in it ends', 'no expires here'),
    );
};

const checkEverything = (spec: At<unknown>): Issue[] =>
  entryPrefixes(member(spec, 'entries'))
    .filter(({ value }) => typeof value === 'string' && parseSource(value)?.length === 0)
    .map((at) => issueAt(at, `${String(at.value)} is every address there is`, 'a longer prefix'));

const checkBlocklist = (document: unknown): Issue[] => {
  const spec = member({ value: document, path: [] }, 'spec');
  return [...checkEntries(member(spec, 'entries')), ...checkEverything(spec), ...checkExpiry(spec)];
};

export type ValidatedBlocklist =
  { ok: true; resource: BlocklistResource } | { ok: false; issues: Issue[] };

/** As `validateNode`. */
export const validateBlocklist = (json: unknown): ValidatedBlocklist => {
  const result = userBlocklist.safeParse(json, { reportInput: true });
  const shapes = result.success ? [] : issuesOf(result.error.issues);
  const places = new Set(shapes.map(({ path }) => pathText(path)));
  const spans = checkBlocklist(json).filter(({ path }) => !places.has(pathText(path)));
  const issues = [...shapes, ...spans];
  if (result.success && issues.length === 0) return { ok: true, resource: normalise(result.data) };
  return { ok: false, issues };
};

/** The resource as its user would write it. */
export const blocklistUserForm = (resource: BlocklistResource): z.input<typeof userBlocklist> => {
  const { nodes, mode, entries, feed } = resource.spec;
  const { refreshMs, maxBytes, ...rest } = feed ?? { ...DEFAULT_FEED, url: '' };
  return {
    ...resource,
    spec: {
      nodes,
      mode,
      entries: entries.map(userEntry),
      ...(feed === null
        ? {}
        : {
            feed: {
              ...rest,
              refresh: formatDuration(refreshMs),
              maxBytes: formatBytes(maxBytes),
            },
          }),
    },
  };
};

/** JSON Schema (draft 2020-12) of the Blocklist resource, for editors. */
export const blocklistJsonSchema = (): object => z.toJSONSchema(userBlocklist, { io: 'input' });
