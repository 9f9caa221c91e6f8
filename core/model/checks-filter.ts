/** What no single field of a filter can get wrong: fields that need one another, names twice. */
import { duplicates } from './checks-names';
import type { Issue } from './issues';
import { formatPrefix, isNetwork, network, parsePrefix, type Prefix } from './prefix';
import { parseSource } from './prefix-entry';
import { parseRange, protocolNumber, TCP, UDP } from './schema-filter';
import { type At, elements, member, present, string } from './view';

const SHAPE_FIELDS = [
  'destination',
  'protocol',
  'sourcePort',
  'destinationPort',
  'length',
  'tcpFlags',
  'fragment',
];
const RANGES = ['sourcePort', 'destinationPort', 'length'];

const isGiven = ({ value }: At<unknown>): boolean => value !== undefined;

const protocolOf = (rule: At<unknown>): number | null => {
  const { value } = member(rule, 'protocol');
  return typeof value === 'string' || typeof value === 'number' ? protocolNumber(value) : null;
};

/** Fields that only packets of these protocols have. */
const checkProtocol = (rule: At<unknown>): Issue[] => {
  const protocol = protocolOf(rule);
  const need = (field: string, protocols: readonly number[], expected: string): Issue[] => {
    const at = member(rule, field);
    if (!isGiven(at) || (protocol !== null && protocols.includes(protocol))) return [];
    const message = `${field} means nothing without that protocol`;
    return [{ path: at.path, code: 'contradiction', message, expected }];
  };
  return [
    ...need('sourcePort', [TCP, UDP], 'protocol: tcp or protocol: udp beside it'),
    ...need('destinationPort', [TCP, UDP], 'protocol: tcp or protocol: udp beside it'),
    ...need('tcpFlags', [TCP], 'protocol: tcp beside it'),
  ];
};

/** Ports stand in the first fragment only, so a rule that asks for both would match nothing. */
const checkFragment = (rule: At<unknown>): Issue[] => {
  const fragment = member(rule, 'fragment');
  const needs = ['sourcePort', 'destinationPort', 'tcpFlags'].find((field) =>
    isGiven(member(rule, field)),
  );
  if (fragment.value !== true || needs === undefined) return [];
  const message = `a fragment is asked for its ${needs}, which later fragments don't have`;
  const expected = 'a rule for fragments, and another one for the rest';
  return [{ path: fragment.path, code: 'contradiction', message, expected }];
};

const checkRanges = (rule: At<unknown>): Issue[] =>
  RANGES.flatMap((field) => {
    const at = member(rule, field);
    const range = parseRange(at.value);
    if (range === null || range.min <= range.max) return [];
    const message = `${String(at.value)} begins after its end`;
    const expected = `${range.max}-${range.min}`;
    return [{ path: at.path, code: 'outOfRange', message, expected }];
  });

const checkSomething = (rule: At<unknown>): Issue[] => {
  const { value } = rule;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  if (SHAPE_FIELDS.some((field) => isGiven(member(rule, field)))) return [];
  const message = 'this rule asks for nothing, so it would match every packet';
  return [
    { path: rule.path, code: 'missing', message, expected: `one of ${SHAPE_FIELDS.join(', ')}` },
  ];
};

/** Host bits that are set are a slip: was the host meant, or all of the prefix? */
export const checkHostBits = (
  at: At<unknown>,
  parse: (text: string) => Prefix | null = parseSource,
): Issue[] => {
  const prefix = typeof at.value === 'string' ? parse(at.value) : null;
  if (prefix === null || isNetwork(prefix)) return [];
  const message = `${formatPrefix(prefix)} has bits set behind its length`;
  const expected = formatPrefix(network(prefix));
  return [{ path: at.path, code: 'hostBits', message, expected }];
};

/** The places of the prefixes in a list of entries, bare ones and mappings. */
export const entryPrefixes = (entries: At<unknown>): At<unknown>[] =>
  elements(entries).map((entry) =>
    typeof entry.value === 'string' ? entry : member(entry, 'prefix'),
  );

const canonicalAt = (at: At<unknown>): At<string> | null => {
  const prefix = typeof at.value === 'string' ? parseSource(at.value) : null;
  return prefix === null ? null : { value: formatPrefix(prefix), path: at.path };
};

/** Of a list of entries: host bits, and prefixes that are there twice. */
export const checkEntries = (entries: At<unknown>): Issue[] => {
  const places = entryPrefixes(entries);
  return [
    ...places.flatMap((at) => checkHostBits(at)),
    ...duplicates(present(places.map(canonicalAt)), 'prefix'),
  ];
};

/** Checks one filter of a document, also one that has other errors. */
export const checkFilterRules = (filter: At<unknown>): Issue[] => {
  const rules = elements(member(member(filter, 'rules'), 'entries'));
  return [
    ...elements(member(filter, 'failsafe')).flatMap((at) => checkHostBits(at)),
    ...checkEntries(member(member(filter, 'allow'), 'entries')),
    ...duplicates(present(rules.map((rule) => string(member(rule, 'name')))), 'rule'),
    ...rules.flatMap((rule) => [
      ...checkSomething(rule),
      ...checkProtocol(rule),
      ...checkFragment(rule),
      ...checkRanges(rule),
      ...checkHostBits(member(rule, 'destination'), parsePrefix),
    ]),
  ];
};
