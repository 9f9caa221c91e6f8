/**
 * Who may do what, and what the audit trail says of it: one place, as data. A verb is one act, or one of several
 * by what is asked for; an act in which a guard is overridden (`force`) is the breaker's.
 */
import type { Identity } from '../ca/identity';
import { type AdminVerbs, ROUTE_VERBS, type RouteVerb, type Verb } from './proto';

/** From the least to the most. `root`: whoever opens the unix socket. */
export const ADMIN_ROLES = ['viewer', 'operator', 'breaker', 'root'] as const;
export type AdminRole = (typeof ADMIN_ROLES)[number];

/** Verbs under which different things can be asked for. */
type Wide = 'freeze' | 'block' | 'route' | 'drainController';
export type Act =
  | Exclude<Verb, Wide>
  | ('freeze' | 'unfreeze')
  | ('block' | 'unblock')
  | ('drainController' | 'undrainController')
  | RouteVerb;

/** Of each act: the least role that may do it. What a viewer may do changes nothing, and leaves no line. */
export const LEAST: Readonly<Record<Act, AdminRole>> = {
  plan: 'viewer',
  get: 'viewer',
  describe: 'viewer',
  explain: 'viewer',
  status: 'viewer',
  askFilter: 'viewer',
  routeProgress: 'viewer',
  routing: 'viewer',
  members: 'viewer',
  ring: 'viewer',
  apply: 'operator',
  delete: 'operator',
  audit: 'operator',
  freeze: 'operator',
  unfreeze: 'operator',
  approve: 'operator',
  block: 'operator',
  unblock: 'operator',
  refreshBlocklist: 'operator',
  drain: 'operator',
  undrain: 'operator',
  failover: 'operator',
  failBack: 'operator',
  quarantine: 'operator',
  release: 'operator',
  drainController: 'operator',
  undrainController: 'operator',
};

/** Of every act that is forced: below a floor, without waiting for the edge, a prefix that is likely a slip. */
export const LEAST_FORCED: AdminRole = 'breaker';

/** One act, as roles and audit lines know it. */
export interface Asked {
  act: Act;
  force: boolean;
  /** What it is done to: `Node/fra-1`, a prefix; '' = nothing in particular. */
  object: string;
}

type Reader<V extends Verb> = (request: AdminVerbs[V]['request']) => Asked;
type Readers = { [V in Verb]: Reader<V> };

const OBJECTS_MAX = 10;

const named = (kind: string, name: string | null): string =>
  name === null || name === '' ? kind : `${kind}/${name}`;

/** A resource as its user wrote it: whatever it may be. */
function nameIn(json: unknown): string {
  const { metadata } = (json ?? {}) as { metadata?: { name?: unknown } };
  return typeof metadata?.name === 'string' ? metadata.name : '?';
}

const resources: Reader<'apply'> = ({ resources: all, force }) => {
  const names = all.slice(0, OBJECTS_MAX).map(({ kind, json }) => named(kind, nameIn(json)));
  const more = all.length - names.length;
  const object = [...names, ...(more > 0 ? [`${more} more`] : [])].join(', ');
  return { act: 'apply', force, object };
};

const nodeOf = (node: string | null): string => (node === null ? 'all nodes' : `Node/${node}`);

const plain = (act: Act, object = ''): Asked => ({ act, force: false, object });

const READERS: Readers = {
  plan: (request) => ({ ...resources(request), act: 'plan', force: false }),
  apply: resources,
  get: ({ kind, name }) => plain('get', named(kind, name)),
  describe: ({ kind, name }) => plain('describe', named(kind, name)),
  explain: ({ node }) => plain('explain', nodeOf(node)),
  delete: ({ kind, name, force }) => ({ act: 'delete', force, object: named(kind, name) }),
  audit: () => plain('audit'),
  freeze: ({ node, frozen }) => plain(frozen ? 'freeze' : 'unfreeze', nodeOf(node)),
  approve: ({ node, planHash }) => plain('approve', `Node/${node} plan ${planHash}`),
  status: () => plain('status'),
  block: ({ prefix, blocked, force }) => ({
    act: blocked ? 'block' : 'unblock',
    force: blocked && force,
    object: prefix,
  }),
  refreshBlocklist: ({ name }) => plain('refreshBlocklist', `Blocklist/${name}`),
  askFilter: ({ node }) => plain('askFilter', nodeOf(node)),
  route: ({ verb, node, service, force }) => ({
    act: verb,
    force,
    object: node === null ? named('AnycastService', service) : nodeOf(node),
  }),
  routeProgress: ({ workflowId }) => plain('routeProgress', workflowId),
  routing: ({ node }) => plain('routing', nodeOf(node)),
  members: () => plain('members'),
  ring: () => plain('ring'),
  drainController: ({ controller, draining }) =>
    plain(draining ? 'drainController' : 'undrainController', `controller/${controller}`),
};

/** What a request asks for. Throws RangeError for what is no request of ours. */
export function asked<V extends Verb>(verb: V, request: AdminVerbs[V]['request']): Asked {
  if (verb === 'route') {
    const { verb: wanted } = request as AdminVerbs['route']['request'];
    if (!ROUTE_VERBS.includes(wanted)) throw new RangeError(`"${String(wanted)}" is no verb`);
  }
  return READERS[verb](request);
}

/** An act of each that may be several: they are of one role, but for `force`. */
const ONE_OF: Readonly<Record<Wide, Act>> = {
  freeze: 'freeze',
  block: 'block',
  route: 'drain',
  drainController: 'drainController',
};

const isWide = (verb: Verb): verb is Wide => verb in ONE_OF;

/** Who has less may nothing that a request of this verb could ask for. */
export const leastRoleOf = (verb: Verb): AdminRole => LEAST[isWide(verb) ? ONE_OF[verb] : verb];

export const mayAsk = ({ role }: Caller, verb: Verb): boolean =>
  role !== null && ADMIN_ROLES.indexOf(role) >= ADMIN_ROLES.indexOf(leastRoleOf(verb));

export const leastRole = ({ act, force }: Asked): AdminRole => (force ? LEAST_FORCED : LEAST[act]);

export const mayDo = ({ role }: Caller, what: Asked): boolean =>
  role !== null && ADMIN_ROLES.indexOf(role) >= ADMIN_ROLES.indexOf(leastRole(what));

/** It changes something, so that who did it has to be known. */
export const isAudited = (what: Asked): boolean => leastRole(what) !== 'viewer';

/** What a certificate's role may be here; null: nothing. */
export function adminRoleOf({ role }: Identity): AdminRole | null {
  return role === 'viewer' || role === 'operator' || role === 'breaker' ? role : null;
}

/** Who asks. `by`: for the audit trail and for commands, `operator/ada`; of the unix socket whom it names. */
export interface Caller {
  /** Null: a certificate that may nothing here. */
  role: AdminRole | null;
  by: string;
}
