/** The filters of a Node, as its users write them and as they are kept (docs/notes/filter.md). */
import { z } from 'zod';
import { DEFAULT_FILTER, type FilterSpec, type ShapeRule } from './node';
import { endOf, normalisedEntry, normaliseEntry, saidOf, source } from './prefix-entry';
import { instant, userEntries, userEntry } from './prefix-entry';
import {
  destination,
  epochMs,
  interfaceName,
  label,
  line,
  list,
  octet,
  ruleMode,
  strict,
  whole,
} from './schema-parts';
import { formatTcpFlags, parseTcpFlags } from './tcp-flags';

/** RULES_MAX of bpf/include/consts.h. */
const RULES_MAX = 64;
/** Prefixes in the spec itself; a list of more is a Blocklist. */
const ENTRIES_MAX = 1_000;
const PORT_MAX = 65_535;

/** IANA's numbers of the protocols that have a name here. */
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 };
export const TCP = 6;
export const UDP = 17;

export const protocolNumber = (protocol: string | number): number =>
  typeof protocol === 'number' ? protocol : (PROTOCOLS[protocol] ?? -1);

const protocolName = (number: number): string | number =>
  Object.keys(PROTOCOLS).find((name) => PROTOCOLS[name] === number) ?? number;

export interface Range {
  min: number;
  max: number;
}

/** `123`, `"123"` or `"1000-2000"`; null where it is none. Which end is larger is not asked. */
export const parseRange = (value: unknown): Range | null => {
  if (typeof value !== 'string')
    return typeof value === 'number' ? { min: value, max: value } : null;
  const [, min, max] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(value) ?? [];
  return min === undefined ? null : { min: Number(min), max: Number(max ?? min) };
};

const formatRange = ({ min, max }: Range): string | number => (min === max ? min : `${min}-${max}`);

const fits = ({ min, max }: Range): boolean => Math.max(min, max) <= PORT_MAX;

const rangeOf = (expected: string) =>
  z
    .union([z.int().min(0).max(PORT_MAX), z.string().regex(/^\d{1,5}(-\d{1,5})?$/)], {
      error: expected,
    })
    .refine((value) => fits(parseRange(value) ?? { min: 0, max: 0 }), { error: expected })
    .meta({ description: expected });

const port = rangeOf('a port from 0 to 65535, or a range of them as "1000-2000"');

const userRule = strict({
  name: label,
  reason: line.default(''),
  expires: instant.optional(),
  mode: ruleMode.default('enforce'),
  destination: destination.optional(),
  protocol: z
    .union([z.enum(Object.keys(PROTOCOLS)), z.int().min(0).max(255)], {
      error: 'udp, tcp, icmp, icmpv6 or a number from 0 to 255',
    })
    .optional(),
  sourcePort: port.optional(),
  destinationPort: port.optional(),
  length: rangeOf('bytes of the IP packet from 0 to 65535, or a range as "468-65535"').optional(),
  tcpFlags: z
    .string({ error: 'TCP flags by commas, ! for those not set, as "SYN,!ACK"' })
    .refine((value) => parseTcpFlags(value) !== null, {
      error: 'TCP flags by commas, ! for those not set, as "SYN,!ACK"',
    })
    .meta({ description: 'TCP flags by commas, ! for those not set, as SYN,!ACK.' })
    .optional(),
  fragment: z.literal(true, { error: 'true, or nothing' }).optional(),
}).meta({ description: 'What is dropped by its shape; all fields that are given must match.' });

const perSecond = whole(1, 1_000_000_000, 'a whole number from 1 to 1000000000');
const oneFlowIn = whole(1, 1_000_000, 'a whole number from 1 to 1000000');
const mode = z.enum(['native', 'generic'], { error: 'native or generic' });
const malformed = z.enum(['drop', 'pass'], { error: 'drop or pass' });

export const userFilter = strict({
  interface: interfaceName,
  mode,
  failsafe: list(source)
    .max(ENTRIES_MAX, { error: `at most ${ENTRIES_MAX} prefixes` })
    .default([])
    .meta({ description: 'Sources that can never be dropped.' }),
  allow: strict({
    mode: ruleMode.default('enforce'),
    entries: userEntries(ENTRIES_MAX).default([]),
  })
    .prefault({})
    .meta({ description: 'Sources that no later rule drops.' }),
  rules: strict({
    mode: ruleMode.default('enforce'),
    entries: list(userRule)
      .max(RULES_MAX, { error: `at most ${RULES_MAX} rules` })
      .default([]),
  }).prefault({}),
  rateLimit: strict({
    mode: ruleMode.default('enforce'),
    packetsPerSecond: perSecond,
    burst: perSecond.optional(),
  })
    .optional()
    .meta({ description: 'Of each source address (IPv6: each /64).' }),
  malformed: malformed.default(DEFAULT_FILTER.malformed),
  latency: strict({ oneFlowIn })
    .optional()
    .meta({ description: 'Kernel-time latency histograms, of one in so many flows.' }),
});

const range = strict({ min: whole(0, PORT_MAX, 'a number'), max: whole(0, PORT_MAX, 'a number') });

/** As it is kept: everything said. Former versions knew of interface and mode alone. */
export const normalisedFilter = strict({
  interface: interfaceName,
  mode,
  failsafe: list(destination).default(DEFAULT_FILTER.failsafe),
  allow: strict({ mode: ruleMode, entries: list(normalisedEntry) }).default(DEFAULT_FILTER.allow),
  rules: strict({
    mode: ruleMode,
    entries: list(
      strict({
        name: label,
        reason: z.string(),
        expiresAtMs: epochMs,
        mode: ruleMode,
        destination: destination.nullable(),
        protocol: octet.nullable(),
        sourcePort: range.nullable(),
        destinationPort: range.nullable(),
        length: range.nullable(),
        tcpFlags: strict({ mask: octet, value: octet }).nullable(),
        fragment: z.literal(true).nullable(),
      }),
    ),
  }).default(DEFAULT_FILTER.rules),
  rateLimit: strict({ mode: ruleMode, packetsPerSecond: perSecond, burst: perSecond })
    .nullable()
    .default(DEFAULT_FILTER.rateLimit),
  malformed: malformed.default(DEFAULT_FILTER.malformed),
  latency: strict({ oneFlowIn }).nullable().default(DEFAULT_FILTER.latency),
});

type UserRule = z.output<typeof userRule>;
type UserFilter = z.output<typeof userFilter>;

const orNull = <T, R>(value: T | undefined, convert: (value: T) => R | null): R | null =>
  value === undefined ? null : convert(value);

const normaliseRule = (rule: UserRule): ShapeRule => ({
  name: rule.name,
  reason: rule.reason,
  expiresAtMs: endOf(rule.expires),
  mode: rule.mode,
  destination: rule.destination ?? null,
  protocol: orNull(rule.protocol, protocolNumber),
  sourcePort: orNull(rule.sourcePort, parseRange),
  destinationPort: orNull(rule.destinationPort, parseRange),
  length: orNull(rule.length, parseRange),
  tcpFlags: orNull(rule.tcpFlags, parseTcpFlags),
  fragment: rule.fragment ?? null,
});

export const normaliseFilter = (filter: UserFilter): FilterSpec => {
  const { rateLimit } = filter;
  return {
    ...filter,
    allow: { mode: filter.allow.mode, entries: filter.allow.entries.map(normaliseEntry) },
    rules: { mode: filter.rules.mode, entries: filter.rules.entries.map(normaliseRule) },
    rateLimit:
      rateLimit === undefined
        ? null
        : { ...rateLimit, burst: rateLimit.burst ?? rateLimit.packetsPerSecond },
    latency: filter.latency ?? null,
  };
};

/** A field where something is set, and no field where nothing is. */
const given = <K extends string, T, R>(key: K, value: T | null, convert: (value: T) => R) =>
  (value === null ? {} : { [key]: convert(value) }) as { [P in K]?: R };

const same = <T>(value: T): T => value;

const userRuleForm = (rule: ShapeRule): z.input<typeof userRule> => ({
  name: rule.name,
  ...saidOf(rule),
  ...(rule.mode === 'enforce' ? {} : { mode: rule.mode }),
  ...given('destination', rule.destination, same),
  ...given('protocol', rule.protocol, protocolName),
  ...given('sourcePort', rule.sourcePort, formatRange),
  ...given('destinationPort', rule.destinationPort, formatRange),
  ...given('length', rule.length, formatRange),
  ...given('tcpFlags', rule.tcpFlags, formatTcpFlags),
  ...given('fragment', rule.fragment, same),
});

/** As its user would write it: what is as by default is left out. */
export const userFilterForm = (filter: FilterSpec): z.input<typeof userFilter> => {
  const { failsafe, allow, rules, malformed: broken } = filter;
  const isPlain = (set: { mode: string; entries: readonly unknown[] }): boolean =>
    set.mode === 'enforce' && set.entries.length === 0;
  return {
    interface: filter.interface,
    mode: filter.mode,
    ...(failsafe.length === 0 ? {} : { failsafe }),
    ...(isPlain(allow)
      ? {}
      : { allow: { mode: allow.mode, entries: allow.entries.map(userEntry) } }),
    ...(isPlain(rules)
      ? {}
      : { rules: { mode: rules.mode, entries: rules.entries.map(userRuleForm) } }),
    ...given('rateLimit', filter.rateLimit, same),
    ...(broken === DEFAULT_FILTER.malformed ? {} : { malformed: broken }),
    ...given('latency', filter.latency, same),
  };
};
