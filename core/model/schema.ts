/**
 * The Node resource as its users write it, and the one source of its JSON Schema. Each leaf says
 * what would be right; what spans several fields is checked in `checks.ts`.
 */
import { z } from 'zod';
import { checkNode } from './checks';
import { formatDuration, parseDuration } from './duration';
import { pathText, type Issue } from './issues';
import { API_VERSION, DEFAULT_REPAIR, type NodeResource } from './node';
import { normalisedFilter, normaliseFilter, userFilter, userFilterForm } from './schema-filter';
import {
  bfdPeerForm,
  bgpForm,
  normaliseBfdPeer,
  normaliseBgp,
  normalisedBfdPeer,
  normalisedBgp,
  userBfdPeer,
  userBgp,
} from './schema-routing';
import {
  destination,
  duration,
  DURATION_EXPECTED,
  gateway,
  interfaceAddress,
  interfaceName,
  label,
  labels,
  list,
  ruleMode,
  strict,
  text,
  whole,
} from './schema-parts';
import { issuesOf } from './zod-issues';

/** The least and the greatest MTU of an IP link: RFC 791, and the width of IPv4's length field. */
const mtu = whole(68, 65_535, 'a whole number of bytes from 68 to 65535');

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

/** What a file holds. */
const userNode = strict({
  apiVersion: z.literal(API_VERSION, { error: API_VERSION }),
  kind: z.literal('Node', { error: 'Node' }),
  metadata: strict({ name: label, region: label, labels }),
  spec: strict({
    namespaces: list(namespace).default([]),
    filters: list(userFilter).default([]),
    bgp: userBgp.optional(),
    bfdPeers: list(userBfdPeer).default([]),
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
  // Values and specs of former versions have neither.
  bgp: normalisedBgp.nullable().default(null),
  bfdPeers: list(normalisedBfdPeer).default([]),
  repair: normalisedRepair,
};

export const normalisedNode = strict({
  ...userNode.shape,
  spec: strict({
    namespaces: specParts.namespaces,
    filters: specParts.filters,
    bgp: specParts.bgp,
    bfdPeers: specParts.bfdPeers,
    repair: normalisedRepair,
  }),
});

const normalise = (user: z.output<typeof userNode>): NodeResource => {
  const { policy: repairPolicy, budget, autonomyAfter } = user.spec.repair;
  return {
    ...user,
    spec: {
      ...user.spec,
      filters: user.spec.filters.map(normaliseFilter),
      bgp: user.spec.bgp === undefined ? null : normaliseBgp(user.spec.bgp),
      bfdPeers: user.spec.bfdPeers.map(normaliseBfdPeer),
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
export const userForm = (resource: NodeResource): z.input<typeof userNode> => {
  const { repair: policyMs, bgp, bfdPeers, ...rest } = resource.spec;
  return {
    ...resource,
    spec: {
      ...rest,
      filters: rest.filters.map(userFilterForm),
      ...(bgp === null ? {} : { bgp: bgpForm(bgp) }),
      ...(bfdPeers.length === 0 ? {} : { bfdPeers: bfdPeers.map(bfdPeerForm) }),
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
