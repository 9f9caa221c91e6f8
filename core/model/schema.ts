/**
 * The Node resource as its users write it, and the one source of its JSON Schema. Each leaf says
 * what would be right; what spans several fields is checked in `checks.ts`.
 */
import { z } from 'zod';
import { checkNode } from './checks';
import { DURATION, formatDuration, parseDuration } from './duration';
import { DNS_LABEL } from './ids';
import { pathText, type Issue } from './issues';
import { API_VERSION, DEFAULT_FILTER, DEFAULT_REPAIR, type NodeResource } from './node';
import { canonicalAddress, canonicalPrefix, parseAddress, parsePrefix } from './prefix';
import { issuesOf } from './zod-issues';

/** A string that matches `pattern`; `expected` is told to whoever wrote another one. */
const text = (pattern: RegExp, expected: string) =>
  z.string({ error: expected }).regex(pattern, { error: expected }).meta({ description: expected });

/** As `text`, with a check in code and a canonical form. */
const parsed = (
  isRight: (value: string) => boolean,
  canonical: (v: string) => string,
  expected: string,
) =>
  z
    .string({ error: expected })
    .refine(isRight, { error: expected })
    .meta({ description: expected })
    .overwrite(canonical);

const label = text(DNS_LABEL, 'a DNS label: 1 to 63 of a-z, 0-9 and -, not at its ends');

/** IFNAMSIZ is 16 with the closing zero; dev_valid_name() of the kernel refuses the rest. */
const interfaceName = text(
  /^(?!\.{1,2}$)[!-.0-9;-~]{1,15}$/,
  'an interface name: 1 to 15 printable ASCII characters without blank, / and :, not . or ..',
);

const interfaceAddress = parsed(
  (value) => parsePrefix(value) !== null,
  canonicalPrefix,
  'an address with its prefix length, as 10.10.1.2/30 or fd10:1::2/64',
);

const destination = parsed(
  (value) => parsePrefix(value) !== null,
  canonicalPrefix,
  'a prefix, as 0.0.0.0/0 or fd10:2::/48',
);

const gateway = parsed(
  (value) => parseAddress(value) !== null,
  canonicalAddress,
  'an address without a prefix length, as 10.10.1.1',
);

const whole = (min: number, max: number, expected: string) =>
  z.int({ error: expected }).min(min, { error: expected }).max(max, { error: expected });

/** The least and the greatest MTU of an IP link: RFC 791, and the width of IPv4's length field. */
const mtu = whole(68, 65_535, 'a whole number of bytes from 68 to 65535');

const DURATION_EXPECTED = 'a duration with its unit, as 250ms, 1s, 10m or 1h30m';
const duration = (minMs: number, maxMs: number, expected: string) =>
  text(DURATION, expected).refine(
    (value) => {
      const ms = parseDuration(value);
      return ms === null || (ms >= minMs && ms <= maxMs);
    },
    { error: expected },
  );

const strict = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: ({ code }) =>
      code === 'unrecognized_keys' ? `one of ${Object.keys(shape).join(', ')}` : 'a mapping',
  });

const list = <T extends z.ZodType>(element: T) => z.array(element, { error: 'a list' });

const link = strict({
  name: interfaceName.meta({ description: 'Name of the end in the host.' }),
  peer: interfaceName.meta({ description: 'Name of the end inside the namespace.' }),
  mtu: mtu.default(1500),
  hostAddresses: list(interfaceAddress).default([]),
  addresses: list(interfaceAddress).default([]),
});

const route = strict({ to: destination, via: gateway });

const SYSCTL_EXPECTED = 'a net. key in dotted form, as net.ipv4.ip_forward';
const sysctlKey = z.string().regex(/^net(\.[A-Za-z0-9_-]+)+$/, { error: SYSCTL_EXPECTED });
const sysctlValue = text(/^[^\n\0]{1,255}$/, 'a string on one line; put numbers in quotes: "1"');

const namespace = strict({
  name: label.meta({ description: '/run/netns/<name> on the host.' }),
  links: list(link).default([]),
  routes: list(route).default([]),
  sysctls: z.record(sysctlKey, sysctlValue, { error: 'a mapping' }).default({}),
});

const filter = strict({
  interface: interfaceName,
  mode: z.enum(['native', 'generic'], { error: 'native or generic' }),
});

const epochMs = whole(0, Number.MAX_SAFE_INTEGER, 'ms').nullable();
const ruleMode = z.enum(['enforce', 'count'], { error: 'enforce or count' });
const prefixEntry = strict({ prefix: destination, reason: z.string(), expiresAtMs: epochMs });
const range = strict({ min: whole(0, 65_535, 'a number'), max: whole(0, 65_535, 'a number') });
const octet = whole(0, 255, 'a number from 0 to 255');

/** As it is kept: everything said. */
const normalisedFilter = strict({
  ...filter.shape,
  failsafe: list(destination),
  allow: strict({ mode: ruleMode, entries: list(prefixEntry) }),
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
  }),
  rateLimit: strict({
    mode: ruleMode,
    packetsPerSecond: whole(1, 1_000_000_000, 'a number'),
    burst: whole(1, 1_000_000_000, 'a number'),
  }).nullable(),
  malformed: z.enum(['drop', 'pass'], { error: 'drop or pass' }),
  latency: strict({ oneFlowIn: whole(1, 1_000_000, 'a number') }).nullable(),
});

const DAY = 86_400_000;
const policy = z.enum(['auto', 'propose', 'report'], { error: 'auto, propose or report' });
const attempts = whole(1, 100, 'a whole number from 1 to 100');
const repair = strict({
  policy: policy.default(DEFAULT_REPAIR.policy),
  budget: strict({
    attempts: attempts.default(DEFAULT_REPAIR.budget.attempts),
    per: duration(1_000, DAY, `${DURATION_EXPECTED}; 1s to 1d`).default(
      formatDuration(DEFAULT_REPAIR.budget.perMs),
    ),
  }).prefault({}),
  autonomyAfter: duration(0, DAY, `${DURATION_EXPECTED}; at most 1d`).default(
    formatDuration(DEFAULT_REPAIR.autonomyAfterMs),
  ),
});

const labels = z
  .record(
    z.string().regex(/^[A-Za-z0-9]([\w./-]{0,61}[A-Za-z0-9])?$/, {
      error: 'a label key: letters, digits and _ . / - between them, at most 63',
    }),
    text(/^[\w.-]{0,63}$/, 'a string of at most 63 letters, digits and _ . -; quote numbers'),
    { error: 'a mapping' },
  )
  .default({});

/** What a file holds. */
const userNode = strict({
  apiVersion: z.literal(API_VERSION, { error: API_VERSION }),
  kind: z.literal('Node', { error: 'Node' }),
  metadata: strict({ name: label, region: label, labels }),
  spec: strict({
    namespaces: list(namespace).default([]),
    filters: list(filter).default([]),
    repair: repair.prefault({}),
  }),
}).meta({
  id: 'Node',
  title: 'Aether Node',
  description: 'An edge host and what Aether keeps up on it.',
});

/** The same with its durations in milliseconds: what etcd holds and the edge gets. */
const normalisedRepair = strict({
  policy,
  budget: strict({ attempts, perMs: whole(1_000, DAY, 'ms') }),
  autonomyAfterMs: whole(0, DAY, 'ms'),
});

export const specParts = {
  node: label,
  namespaces: list(namespace),
  filters: list(normalisedFilter),
  prefix: destination,
  ruleMode,
  repair: normalisedRepair,
};

export const normalisedNode = strict({
  ...userNode.shape,
  spec: strict({
    namespaces: specParts.namespaces,
    filters: specParts.filters,
    repair: normalisedRepair,
  }),
});

const normalise = (user: z.output<typeof userNode>): NodeResource => {
  const { policy: repairPolicy, budget, autonomyAfter } = user.spec.repair;
  return {
    ...user,
    spec: {
      ...user.spec,
      filters: user.spec.filters.map((each) => ({ ...DEFAULT_FILTER, ...each })),
      repair: {
        policy: repairPolicy,
        budget: { attempts: budget.attempts, perMs: parseDuration(budget.per) ?? 0 },
        autonomyAfterMs: parseDuration(autonomyAfter) ?? 0,
      },
    },
  };
};

export type Validated = { ok: true; resource: NodeResource } | { ok: false; issues: Issue[] };

/**
 * Checks one document completely: all that is wrong with it in one answer, fields before what spans
 * several. What is returned has its defaults filled in and its addresses in canonical form.
 */
export const validateNode = (json: unknown): Validated => {
  const result = userNode.safeParse(json, { reportInput: true });
  const shapes = result.success ? [] : issuesOf(result.error.issues);
  const places = new Set(shapes.map(({ path }) => pathText(path)));
  const spans = checkNode(json).filter(({ path }) => !places.has(pathText(path)));
  const issues = [...shapes, ...spans];
  if (result.success && issues.length === 0) return { ok: true, resource: normalise(result.data) };
  return { ok: false, issues };
};

/** The resource as its user would write it: what `get -o yaml` prints and `apply` reads again. */
export const userForm = (resource: NodeResource): z.output<typeof userNode> => {
  const { repair: policyMs } = resource.spec;
  return {
    ...resource,
    spec: {
      ...resource.spec,
      filters: resource.spec.filters.map(({ interface: name, mode }) => ({
        interface: name,
        mode,
      })),
      repair: {
        policy: policyMs.policy,
        budget: {
          attempts: policyMs.budget.attempts,
          per: formatDuration(policyMs.budget.perMs),
        },
        autonomyAfter: formatDuration(policyMs.autonomyAfterMs),
      },
    },
  };
};

/** JSON Schema (draft 2020-12) of the Node resource, for editors. */
export const jsonSchema = (): object => z.toJSONSchema(userNode, { io: 'input' });
