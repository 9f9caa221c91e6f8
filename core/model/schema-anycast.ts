/** The AnycastService resource as its users write it, and the one source of its JSON Schema. */
import { z } from 'zod';
import {
  type AnycastServiceResource,
  type AnycastServiceSpec,
  type HealthSpec,
  type ProbeSpec,
  STANCES,
} from './anycast';
import { checkAnycast } from './checks-anycast';
import { formatDuration, parseDuration } from './duration';
import { pathText, type Issue } from './issues';
import { API_VERSION } from './node';
import {
  destination,
  duration,
  DURATION_EXPECTED,
  gateway,
  label,
  labelMap,
  labels,
  list,
  parsed,
  strict,
  text,
  unicastAddress,
  whole,
} from './schema-parts';
import { issuesOf } from './zod-issues';

const MINUTE = 60_000;
/** A command's arguments, and all of a service's lists: they travel in each spec. */
const ITEMS_MAX = 64;

export const DEFAULT_HEALTH = {
  intervalMs: 500,
  timeoutMs: 400,
  failures: 2,
  successes: 3,
} as const satisfies Omit<HealthSpec, 'probe'>;

const ADDRESS_EXPECTED = 'an address of one of the prefixes, without a length, as 203.0.113.10';
const serviceAddress = unicastAddress(ADDRESS_EXPECTED);

const COMMUNITY_EXPECTED = 'a community in quotes: two numbers from 0 to 65535, as "65000:100"';
/** `65000:100` as the u32 of RFC 1997; null where it is none. */
export const parseCommunity = (value: string): number | null => {
  const [, high, low] = /^(\d{1,5}):(\d{1,5})$/.exec(value) ?? [];
  if (high === undefined || Number(high) > 65_535 || Number(low) > 65_535) return null;
  return Number(high) * 65_536 + Number(low);
};
const community = parsed(
  (value) => parseCommunity(value) !== null,
  (value) => value.split(':').map(Number).join(':'),
  COMMUNITY_EXPECTED,
);

const port = whole(1, 65_535, 'a port from 1 to 65535');
const path = text(/^\/[!-~]{0,254}$/, 'a path, as /healthz');
const status = whole(100, 599, 'an HTTP status from 100 to 599');
const queryName = text(
  /^(?=.{1,253}\.?$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?)+$/,
  'a domain name, as health.example.net',
);
const rcode = whole(0, 15, 'a DNS response code from 0 (NOERROR) to 15');
const argv = list(text(/^[^\0]{1,1000}$/, 'an argument'))
  .min(1, { error: 'a program and its arguments' })
  .max(ITEMS_MAX, { error: `at most ${ITEMS_MAX} arguments` });
const times = whole(1, 100, 'a whole number from 1 to 100');

const userHealth = strict({
  tcp: strict({ port }).optional(),
  http: strict({ port, path: path.default('/'), status: status.default(200) }).optional(),
  dns: strict({ port: port.default(53), name: queryName, rcode: rcode.default(0) }).optional(),
  command: argv.optional().meta({ description: 'Healthy on exit status 0.' }),
  interval: duration(50, MINUTE, `${DURATION_EXPECTED}; 50ms to 1m`).default(
    formatDuration(DEFAULT_HEALTH.intervalMs),
  ),
  timeout: duration(10, MINUTE, `${DURATION_EXPECTED}; 10ms to 1m`).default(
    formatDuration(DEFAULT_HEALTH.timeoutMs),
  ),
  failures: times.default(DEFAULT_HEALTH.failures),
  successes: times.default(DEFAULT_HEALTH.successes),
}).meta({ description: 'Asked of each address, inside the namespace: one of the four probes.' });

const region = strict({
  name: label,
  weight: whole(0, 100, 'a whole number from 0 (a backup) to 100').default(1),
});

const atMost = <T extends z.ZodType>(element: T) =>
  list(element).max(ITEMS_MAX, { error: `at most ${ITEMS_MAX}` });

const SELECTOR_EMPTY =
  'at least one label: an empty selector would announce from every node, which nobody should do by leaving something out';
const nodes = labelMap.refine((value) => Object.keys(value).length > 0, { error: SELECTOR_EMPTY });
const minAnnouncers = whole(0, 10_000, 'a whole number from 0 to 10000');
const lastAnnouncer = z.enum(['deprefer', 'withdraw'], { error: 'deprefer or withdraw' });
const prepend = whole(0, 10, 'a whole number from 0 to 10');
const prefixes = atMost(destination).min(1, { error: 'at least one prefix' });

const userAnycast = strict({
  apiVersion: z.literal(API_VERSION, { error: API_VERSION }),
  kind: z.literal('AnycastService', { error: 'AnycastService' }),
  metadata: strict({ name: label, labels }),
  spec: strict({
    prefixes: prefixes.meta({ description: 'What is announced, as 203.0.113.10/32.' }),
    addresses: atMost(serviceAddress)
      .default([])
      .meta({ description: 'What is served besides the /32 and /128 of the prefixes.' }),
    namespace: label.meta({ description: 'Of every node of the selector: where it is served.' }),
    nodes: nodes.meta({
      description: 'Labels that a node must have, all of them.',
      minProperties: 1,
    }),
    regions: atMost(region)
      .default([])
      .meta({ description: 'Regions that announce, by weight; none: all, alike.' }),
    minAnnouncers: minAnnouncers
      .default(1)
      .meta({ description: 'As many announce whatever is drained or quarantined.' }),
    lastAnnouncer: lastAnnouncer.default('deprefer').meta({
      description: 'What a node does that has lost its proof and holds no permit to withdraw.',
    }),
    health: userHealth.optional(),
    communities: atMost(community).default([]),
    prepend: prepend.default(0),
  }),
}).meta({
  id: 'AnycastService',
  title: 'Aether AnycastService',
  description: 'Addresses that every healthy edge of its selector serves and announces.',
});

const normalisedProbe: z.ZodType<ProbeSpec> = z.discriminatedUnion('kind', [
  strict({ kind: z.literal('tcp'), port }),
  strict({ kind: z.literal('http'), port, path, status }),
  strict({ kind: z.literal('dns'), port, name: queryName, rcode }),
  strict({ kind: z.literal('command'), argv }),
]);

const normalisedHealth = strict({
  probe: normalisedProbe,
  intervalMs: whole(10, MINUTE, 'ms'),
  timeoutMs: whole(10, MINUTE, 'ms'),
  failures: times,
  successes: times,
});

/** As etcd holds it: everything said. */
export const normalisedAnycast = strict({
  ...userAnycast.shape,
  spec: strict({
    prefixes: list(destination),
    addresses: list(gateway),
    namespace: label,
    nodes,
    regions: list(strict({ name: label, weight: whole(0, 100, 'a weight') })),
    minAnnouncers,
    lastAnnouncer,
    health: normalisedHealth.nullable(),
    communities: list(community),
    prepend,
  }),
});

/** As one of its edges gets it. */
export const edgeService = strict({
  name: label,
  namespace: label,
  prefixes: list(destination),
  addresses: list(gateway),
  commanded: strict({ stance: z.enum(STANCES), why: z.string() }),
  permit: z.boolean(),
  lastAnnouncer,
  health: normalisedHealth.nullable(),
  communities: list(community),
  prepend: whole(0, 255, 'a whole number'),
});

type User = z.output<typeof userAnycast>;
type UserHealth = NonNullable<User['spec']['health']>;

/** Null where it names none of them: `checkAnycast` says so. */
const probeOf = ({ tcp, http, dns, command }: Partial<UserHealth>): ProbeSpec | null => {
  if (tcp) return { kind: 'tcp', ...tcp };
  if (http) return { kind: 'http', ...http };
  if (dns) return { kind: 'dns', ...dns };
  return command ? { kind: 'command', argv: command } : null;
};

const normaliseHealth = (health: UserHealth | undefined): HealthSpec | null => {
  const probe = probeOf(health ?? {});
  if (health === undefined || probe === null) return null;
  return {
    probe,
    intervalMs: parseDuration(health.interval) ?? 0,
    timeoutMs: parseDuration(health.timeout) ?? 0,
    failures: health.failures,
    successes: health.successes,
  };
};

const HOST_PREFIX = /^(.*)\/(?:32|128)$/;

/** Every /32 of IPv4 and /128 of IPv6 is an address that is served. */
const hostAddress = (prefix: string): string[] => {
  const [, address] = HOST_PREFIX.exec(prefix) ?? [];
  if (address === undefined) return [];
  return prefix.endsWith('/128') === address.includes(':') ? [address] : [];
};

const distinct = (values: readonly string[]): string[] => [...new Set(values)];

const normalise = (user: User): AnycastServiceResource => {
  const { prefixes: announced, addresses, health } = user.spec;
  const spec: AnycastServiceSpec = {
    ...user.spec,
    addresses: distinct([...announced.flatMap(hostAddress), ...addresses]),
    health: normaliseHealth(health),
  };
  return { ...user, spec };
};

export type ValidatedAnycast =
  { ok: true; resource: AnycastServiceResource } | { ok: false; issues: Issue[] };

/** As `validateNode`. */
export const validateAnycast = (json: unknown): ValidatedAnycast => {
  const result = userAnycast.safeParse(json, { reportInput: true });
  const shapes = result.success ? [] : issuesOf(result.error.issues);
  const places = new Set(shapes.map(({ path: at }) => pathText(at)));
  const spans = checkAnycast(json).filter(({ path: at }) => !places.has(pathText(at)));
  const issues = [...shapes, ...spans];
  if (result.success && issues.length === 0) return { ok: true, resource: normalise(result.data) };
  return { ok: false, issues };
};

type UserForm = z.input<typeof userAnycast>;

const probeForm = (probe: ProbeSpec): Partial<NonNullable<UserForm['spec']['health']>> => {
  switch (probe.kind) {
    case 'tcp':
      return { tcp: { port: probe.port } };
    case 'http':
      return { http: { port: probe.port, path: probe.path, status: probe.status } };
    case 'dns':
      return { dns: { port: probe.port, name: probe.name, rcode: probe.rcode } };
    case 'command':
      return { command: probe.argv };
  }
};

const healthForm = ({ probe, intervalMs, timeoutMs, failures, successes }: HealthSpec) => ({
  ...probeForm(probe),
  interval: formatDuration(intervalMs),
  timeout: formatDuration(timeoutMs),
  failures,
  successes,
});

/** The resource as its user would write it. */
export const anycastUserForm = (resource: AnycastServiceResource): UserForm => {
  const { prefixes: announced, addresses, health, ...rest } = resource.spec;
  const implied = new Set(announced.flatMap(hostAddress));
  return {
    ...resource,
    spec: {
      ...rest,
      prefixes: announced,
      addresses: addresses.filter((address) => !implied.has(address)),
      ...(health === null ? {} : { health: healthForm(health) }),
    },
  };
};

/** JSON Schema (draft 2020-12) of the AnycastService resource, for editors. */
export const anycastJsonSchema = (): object => z.toJSONSchema(userAnycast, { io: 'input' });
