/**
 * Writes of the desired state: checked completely as one set, then all in one transaction or none.
 * Each write carries the revision it was planned against, and fails when that is stale.
 */
import type { EtcdClient } from '../../adapters/etcd/client';
import type { Condition, KeyValue } from '../../adapters/etcd/port';
import { unchanged } from '../../adapters/etcd/port';
import {
  AdminError,
  type ApplyRequest,
  type Change,
  type Resource,
} from '../../adapters/admin/proto';
import { validateCluster } from '../../core/model/cluster';
import type { Keyed, Stored } from '../../core/model/compile';
import { canonicalJson } from '../../core/model/hash';
import type { ClusterIssue } from '../../core/model/issues';
import { keys } from '../../core/model/keys';
import {
  type AnyResource,
  isKind,
  type Kind,
  KIND_NAMES,
  KINDS_TEXT,
  KINDS,
  type OfKind,
  userFormOf,
} from '../../core/model/resources';
import { type NodeValue, parseNodeValue, valueText } from '../../core/model/values';
import { notFound } from './admin-errors';
import type { Blobs } from './blobs';
import { readKey } from './desired';
import { differences } from './differences';
import { type AnyStored, STORED_KINDS, unboundMarks, type Write } from './kinds';

/**
 * In one apply. etcd takes 128 operations a transaction (--max-txn-ops), nested ones included, and a
 * write that happens at most once names each of its keys twice (adapters/etcd/once.ts).
 */
export const MAX_RESOURCES = 60;

/** etcd refuses requests above 1.5 MiB. */
const MAX_BYTES = 1 << 20;

/** All resources as they are in etcd, and the key that must not have moved when they are written. */
interface Present {
  /** By kind and name. */
  resources: Map<string, AnyStored>;
  generation: number;
}

interface Planned {
  resource: AnyResource;
  stored: AnyStored | null;
  change: Change;
}

const identity = ({ kind, metadata }: AnyResource): string => `${kind}/${metadata.name}`;

const keyOf = ({ kind, metadata }: AnyResource): string => STORED_KINDS[kind].key(metadata.name);

/** Those that are bound to nodes by a selector. */
export type BoundKind = Exclude<Kind, 'Node'>;

/** Conditions every write of a controller is under, e.g. the cluster's incarnation. */
export type Guard = () => Condition;

export class Resources {
  constructor(
    private readonly etcd: EtcdClient,
    private readonly guard: Guard,
    private readonly blobs: Blobs,
  ) {}

  async plan(request: ApplyRequest): Promise<Planned[]> {
    return (await this.prepare(request)).planned;
  }

  /** `admit` throws what is not to be written. */
  async apply(
    request: ApplyRequest,
    admit: (wanted: readonly AnyResource[]) => void,
  ): Promise<Change[]> {
    const { planned, generation } = await this.prepare(request);
    assertFresh(planned, request.expectedRevisions);
    const changes = planned.filter(({ change }) => change.action !== 'none');
    if (changes.length === 0) return planned.map(({ change }) => change);
    admit(changes.map(({ resource }) => resource));
    const conditions = planned.map(({ resource, stored }) =>
      unchanged(keyOf(resource), stored?.revision ?? 0),
    );
    const write = await this.writeOf(changes);
    const outcome = await this.etcd.write(
      [this.guard(), unchanged(keys.generation, generation), ...conditions, ...write.conditions],
      [{ op: 'put', key: keys.generation, value: '' }, ...write.changes],
    );
    if (!outcome.committed) throw stale('somebody else has written meanwhile');
    const { revision } = outcome;
    return planned.map(({ change }) =>
      change.action === 'none' ? change : { ...change, revision },
    );
  }

  /** Marks a node for deletion; again is no change. Returns the revision that was asked to go. */
  async markForDeletion(name: string): Promise<number> {
    for (;;) {
      const stored = await this.node(name);
      if (stored.value.deletionRevision !== null) return stored.value.deletionRevision;
      const { revision } = stored;
      const value = valueText({ ...stored.value, deletionRevision: revision });
      const outcome = await this.etcd.write(
        [this.guard(), unchanged(keys.node(name), revision)],
        [{ op: 'put', key: keys.node(name), value }],
      );
      if (outcome.committed) return revision;
      const now = outcome.found.find(({ key }) => key === keys.node(name))?.modRevision ?? 0;
      if (now === revision) throw newIncarnation();
    }
  }

  /** Throws NOT_FOUND where there is no such node. */
  async node(name: string): Promise<Stored<NodeValue>> {
    const stored = readKey(await this.etcd.get(keys.node(name)), parseNodeValue);
    if (stored) return stored;
    throw new AdminError({ code: 'notFound', message: `There is no node ${name}.` });
  }

  /** Removes a resource that nobody has to be asked about; throws NOT_FOUND where there is none. */
  async remove(bound: BoundKind, name: string): Promise<number> {
    const kind = STORED_KINDS[bound];
    for (;;) {
      const stored = readKey(await this.etcd.get(kind.key(name)), kind.parse);
      if (!stored) throw notFound(bound, name);
      const { spec } = stored.value.resource as OfKind<BoundKind>;
      const outcome = await this.etcd.write(
        [this.guard(), unchanged(kind.key(name), stored.revision)],
        [
          { op: 'delete', key: kind.key(name) },
          ...kind.belongings(name).map((key) => ({ op: 'delete', key }) as const),
          ...unboundMarks([spec.nodes]),
        ],
      );
      if (outcome.committed) return outcome.revision;
      const now = outcome.found.find(({ key }) => key === kind.key(name))?.modRevision ?? 0;
      if (now === stored.revision) throw newIncarnation();
    }
  }

  private async prepare({ resources }: ApplyRequest) {
    const wanted = validated(resources);
    const present = await this.present();
    assertSet(wanted, present);
    const planned = wanted.map((resource) =>
      planOne(resource, present.resources.get(identity(resource)) ?? null),
    );
    return { planned, generation: present.generation };
  }

  /** The generation is read first: whoever writes after that is noticed. */
  private async present(): Promise<Present> {
    const generation = (await this.etcd.get(keys.generation))?.modRevision ?? 0;
    const kinds = KIND_NAMES.map((kind) => STORED_KINDS[kind]);
    const listings = await Promise.all(kinds.map(({ prefix }) => this.etcd.list({ prefix })));
    const resources = new Map(
      listings.flatMap(({ entries }, i) =>
        entries.flatMap((entry: KeyValue) => {
          const stored = readKey(entry, kinds[i]?.parse ?? parseNodeValue);
          return stored ? [[identity(stored.value.resource), stored] as const] : [];
        }),
      ),
    );
    return { resources, generation };
  }

  /** What the transaction is to write; what that names is in etcd when this resolves. */
  private async writeOf(planned: readonly Planned[]): Promise<Write> {
    const { etcd, blobs } = this;
    const selectors = planned.flatMap(({ resource, stored }) =>
      STORED_KINDS[resource.kind].unbound(resource, stored),
    );
    const changes = unboundMarks(selectors);
    const conditions: Condition[] = [];
    for (const { resource, stored } of planned) {
      const write = await STORED_KINDS[resource.kind].write(resource, stored, { etcd, blobs });
      changes.push(...write.changes);
      conditions.push(...write.conditions);
    }
    const held = planned.length + conditions.length;
    assertFits(held + Math.max(held, changes.length), 2 * MAX_RESOURCES, 'keys');
    const bytes = changes.reduce(
      (sum, change) => sum + ('value' in change ? change.value.length : 0),
      0,
    );
    assertFits(bytes, MAX_BYTES, 'bytes');
    return { conditions, changes };
  }
}

function assertFits(count: number, most: number, what: string): void {
  if (count <= most) return;
  const message = `Nothing was written: ${count} ${what} don't fit into one transaction, at most ${most} do. Apply fewer resources at once.`;
  throw new AdminError({ code: 'precondition', message });
}

function validated(resources: readonly Resource[]): AnyResource[] {
  const issues: ClusterIssue[] = [];
  const wanted: AnyResource[] = [];
  const fault = (index: number, path: string[], message: string, expected: string): void => {
    issues.push({ node: '', index, path, code: 'malformed', message, expected });
  };
  if (resources.length > MAX_RESOURCES) {
    fault(0, [], `${resources.length} resources at once`, `at most ${MAX_RESOURCES}`);
  }
  for (const [index, { kind, json }] of resources.entries()) {
    if (!isKind(kind)) {
      fault(index, ['kind'], `"${kind}" is no kind of resource`, KINDS_TEXT);
      continue;
    }
    const result = KINDS[kind].validate(json);
    if (result.ok) wanted.push(result.resource);
    else issues.push(...result.issues.map((issue) => ({ ...issue, node: nameIn(json), index })));
  }
  assertNone(issues);
  return wanted;
}

/** With all that is there, since two nodes must not hold one address, and so on. */
function assertSet(wanted: readonly AnyResource[], { resources }: Present): void {
  const names = new Set(wanted.map(identity));
  const others = [...resources.values()]
    .map(({ value }) => value.resource)
    .filter((resource) => !names.has(identity(resource)));
  const issues = validateCluster([...others, ...wanted]);
  assertNone(issues.map((issue) => ({ ...issue, index: issue.index - others.length })));
  for (const resource of wanted) {
    const stored = resources.get(identity(resource));
    if (!stored || !STORED_KINDS[resource.kind].leaving(stored.value)) continue;
    const message = `${resource.kind} ${resource.metadata.name} is being deleted; wait until it is gone, then apply again.`;
    throw new AdminError({ code: 'precondition', message });
  }
}

function planOne(resource: AnyResource, stored: Keyed<{ resource: AnyResource }>): Planned {
  const former = stored?.value.resource ?? null;
  const action =
    former === null
      ? 'create'
      : canonicalJson(former) === canonicalJson(resource)
        ? 'none'
        : 'update';
  const change: Change = {
    kind: resource.kind,
    name: resource.metadata.name,
    action,
    revision: stored?.revision ?? 0,
    differences: former === null ? [] : differences(userFormOf(former), userFormOf(resource)),
    steps: [],
    notes: [],
  };
  return { resource, stored, change };
}

function assertFresh(planned: readonly Planned[], expected: readonly number[] | null): void {
  if (expected === null) return;
  const moved = planned.filter(({ change }, i) => change.revision !== expected[i]);
  if (expected.length === planned.length && moved.length === 0) return;
  const names = moved.map(({ change }) => change.name).join(', ');
  throw stale(`${names || 'something'} has changed since it was planned`);
}

/** The guard did not hold: the cluster was restored, and this controller is about to join it anew. */
export const newIncarnation = (): AdminError =>
  new AdminError({
    code: 'stale',
    message: 'Nothing was written: the cluster has a new incarnation. Try again.',
  });

const stale = (why: string): AdminError =>
  new AdminError({ code: 'stale', message: `Nothing was written: ${why}. Plan again.` });

function assertNone(issues: ClusterIssue[]): void {
  if (issues.length === 0) return;
  const message = `Nothing was written: ${issues.length} ${issues.length === 1 ? 'thing is' : 'things are'} wrong with the resources.`;
  throw new AdminError({ code: 'invalid', message, issues });
}

function nameIn(json: unknown): string {
  const name = (json as { metadata?: { name?: unknown } } | null)?.metadata?.name;
  return typeof name === 'string' ? name : '';
}
