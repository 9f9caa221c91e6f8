/** A list that is not applied yet, from a file: a Blocklist, or a feed as somebody publishes it. */
import { readFileSync } from 'node:fs';
import { fetchFeed } from '../adapters/feed/fetch';
import { EMPTY, prefixSet, union } from '../core/filter/algebra';
import { counts } from '../core/filter/contents';
import { type FeedLimits, parseFeed } from '../core/filter/feed';
import { disbeliefText, judgeFeed } from '../core/filter/feed-policy';
import { notesOf } from '../core/filter/feed-refresh';
import type { PrefixSet } from '../core/filter/types';
import type { BlocklistResource, FeedSpec } from '../core/model/blocklist';
import { DEFAULT_FEED } from '../core/model/schema-blocklist';
import { CliError, EXIT } from './exit-codes';
import { needResources } from './resources';

export interface Candidate {
  set: PrefixSet;
  /** Labels of the nodes that it is for; null where the file does not say. */
  nodes: Record<string, string> | null;
  /** What was odd about it. */
  notes: string[];
}

const FETCH_TIMEOUT_MS = 60_000;
/** Our resources say so in one of their first lines; no feed does. */
const IS_RESOURCE = /^[\s{]*"?apiVersion"?\s*:\s*"?aether\.dev\//m;
const HEAD_BYTES = 64 * 1024;
/** All that a feed takes away is what it never had: a candidate has no list before it. */
const NOTHING_BEFORE = { lastGood: null, maxShrinkPercent: 100, failsafe: EMPTY };

/** `column`: of a CSV, from 1; of a feed alone. */
export async function readCandidate(path: string, column: number): Promise<Candidate> {
  const bytes = readBytes(path);
  if (IS_RESOURCE.test(bytes.subarray(0, HEAD_BYTES).toString('latin1'))) {
    return ofResource(path, blocklistIn(path));
  }
  const { set, notes } = believed(path, bytes, { ...DEFAULT_FEED, column });
  return { set, nodes: null, notes };
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CliError(EXIT.notFound, `${path}: ${(error as Error).message}`);
  }
}

function blocklistIn(path: string): BlocklistResource {
  const [first, ...others] = needResources([path])
    .map(({ resource }) => resource)
    .filter((resource) => resource.kind === 'Blocklist');
  if (first !== undefined && others.length === 0) return first;
  const message = `${path}: holds ${first === undefined ? 'no Blocklist' : 'several Blocklists'}`;
  throw new CliError(EXIT.usage, message, 'One list is rehearsed at a time: one file each.');
}

async function ofResource(path: string, { spec }: BlocklistResource): Promise<Candidate> {
  const nowMs = Date.now();
  const entries = spec.entries.filter(({ expiresAtMs }) => counts(expiresAtMs, nowMs));
  const inline = prefixSet(entries.map(({ prefix }) => prefix));
  const { nodes, feed } = spec;
  const mode = spec.mode === 'count' ? ['it only counts; rehearsed as if it were enforced'] : [];
  if (feed === null) return { set: inline, nodes, notes: mode };
  const { set, notes } = believed(feed.url, await fetched(path, feed), feed);
  return { set: union(inline, set), nodes, notes: [...mode, ...notes] };
}

/** From here: a `file:` is one of this host, not of the controllers'. */
async function fetched(path: string, { url, maxBytes }: FeedSpec): Promise<Uint8Array> {
  const { signal } = new AbortController();
  const result = await fetchFeed({
    url,
    etag: null,
    maxBytes,
    timeoutMs: FETCH_TIMEOUT_MS,
    signal,
  });
  if (result.kind === 'bytes') return result.bytes;
  const why = result.kind === 'failed' ? result.message : 'it did not come';
  throw new CliError(EXIT.failed, `${path}: its feed ${url} can't be had from here: ${why}`);
}

/** What a refresh would not believe is not rehearsed either. */
function believed(from: string, bytes: Uint8Array, limits: FeedLimits) {
  const verdict = judgeFeed({ ...NOTHING_BEFORE, fetched: parseFeed(bytes, limits) });
  if (!verdict.believed) {
    const why = disbeliefText(verdict.why);
    throw new CliError(EXIT.invalid, `${from} would not be believed: ${why}`);
  }
  return { set: verdict.set, notes: notesOf(verdict.report) };
}
