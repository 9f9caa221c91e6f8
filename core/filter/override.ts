/** What an override by hand comes to, beside all else that the filters hold. */
import {
  contains,
  formatPrefix,
  isNetwork,
  network,
  parsePrefix,
  type Prefix,
} from '../model/prefix';
import { parseSource } from '../model/prefix-entry';
import type { FilterContents, Override } from './contents';

/** `effective`: packets of the prefix, of a part of it at least, meet what was asked for. */
export interface OverrideEffect {
  effective: boolean;
  /** What else there is to know, for people; '' = nothing. */
  note: string;
}

export interface Asked {
  /** Canonical. */
  prefix: string;
  /** `none`: the override of exactly this prefix was taken back. */
  verdict: Override['verdict'] | 'none';
}

/**
 * `held`: what the filters hold now; `overrides`: those that are in it; `lists`: names of enforced ones
 * that cover the prefix, asked for where it is no longer overridden.
 */
export function effectOf(
  { prefix: text, verdict }: Asked,
  held: readonly FilterContents[],
  overrides: readonly Override[],
  lists: readonly string[] = [],
): OverrideEffect {
  const prefix = parsePrefix(text);
  if (prefix === null) return { effective: false, note: `${text} is no prefix` };
  if (held.length === 0) {
    return {
      effective: false,
      note: 'this edge has no filter: nothing is dropped or spared on it',
    };
  }
  if (verdict === 'block') return blocked(prefix, held);
  if (verdict === 'none') return unblocked(prefix, held, overrides, lists);
  const strict = held.some(({ malformed }) => malformed === 'drop');
  return { effective: true, note: strict ? 'malformed packets are dropped all the same' : '' };
}

/** Failsafe wins over everything, allowed sources over blocked ones. */
function blocked(prefix: Prefix, held: readonly FilterContents[]): OverrideEffect {
  const verdicts = held.map(({ failsafe, allow }) => {
    const safe = meets(prefix, failsafe);
    if (safe.by !== null) return `${safe.by} is failsafe: it can never be blocked`;
    const allowed = meets(prefix, allow.mode === 'enforce' ? allow.prefixes : []);
    if (allowed.by !== null) {
      return `${allowed.by} is allowed, and that wins: first take it back, here or in the spec`;
    }
    return [...safe.inside, ...allowed.inside];
  });
  const refusals = verdicts.filter((verdict) => typeof verdict === 'string');
  const spared = verdicts.flatMap((verdict) => (typeof verdict === 'string' ? [] : verdict));
  const inside = spared.length === 0 ? [] : [`in it, failsafe or allowed: ${some(spared)}`];
  return {
    effective: refusals.length < held.length,
    note: [...new Set([...refusals, ...inside])].join('; '),
  };
}

const SPARE = 'to spare it on this edge: aether edge allow';

function unblocked(
  prefix: Prefix,
  held: readonly FilterContents[],
  overrides: readonly Override[],
  lists: readonly string[],
): OverrideEffect {
  const by = held.map(({ blocks }) => meets(prefix, blocks).by).find((found) => found !== null);
  if (by === undefined || by === null) {
    if (lists[0] === undefined) return { effective: true, note: '' };
    const note = `the list ${lists[0]} blocks it still; ${SPARE}`;
    return { effective: false, note };
  }
  const byHand = overrides.some((other) => other.verdict === 'block' && other.prefix === by);
  const how = byHand
    ? `${by} is blocked by hand: aether edge unblock ${by}`
    : `the spec blocks ${by} still; ${SPARE}`;
  return { effective: false, note: how };
}

/** The first of `others` that covers all of `prefix`, and those that lie inside it. */
function meets(prefix: Prefix, others: readonly string[]): { by: string | null; inside: string[] } {
  let by: string | null = null;
  const inside: string[] = [];
  for (const text of others) {
    const other = parsePrefix(text);
    if (other === null) continue;
    if (other.length > prefix.length) {
      if (contains(prefix, other)) inside.push(text);
    } else if (contains(other, prefix)) by ??= text;
  }
  return { by, inside };
}

const NAMED = 3;
const some = (prefixes: readonly string[]): string => {
  const unique = [...new Set(prefixes)];
  const more = unique.length > NAMED ? ` and ${unique.length - NAMED} more` : '';
  return unique.slice(0, NAMED).join(', ') + more;
};

/** A source as people write it by hand: an address, or a prefix without host bits; not everybody. */
export function readSource(
  text: string,
): { ok: true; prefix: string } | { ok: false; reason: string } {
  const prefix = parseSource(text);
  if (prefix === null) {
    return { ok: false, reason: `"${text}" is no source; write it as 192.0.2.7 or 2001:db8::/32` };
  }
  if (!isNetwork(prefix)) {
    const meant = formatPrefix(network(prefix));
    return { ok: false, reason: `${text} has bits set behind its length; is ${meant} meant?` };
  }
  if (prefix.length === 0) return { ok: false, reason: `${text} is everybody` };
  return { ok: true, prefix: formatPrefix(prefix) };
}
