/**
 * Writes of the desired state: checked completely as one set, then all in one transaction or none.
 * Each write carries the revision it was planned against, and fails when that is stale.
 */
import type { EtcdClient } from '../../adapters/etcd/client';
import type { Change as KeyChange, Condition, KeyValue } from '../../adapters/etcd/port';
import { unchanged } from '../../adapters/etcd/port';
import {
  AdminError,
  type ApplyRequest,
  type Change,
  type Resource,
} from '../../adapters/admin/proto';
import type { Keyed } from '../../core/model/compile';
import { canonicalJson } from '../../core/model/hash';
import { validateCluster } from '../../core/model/cluster';
import type { ClusterIssue } from '../../core/model/issues';
import { keys } from '../../core/model/keys';
import type { NodeResource } from '../../core/model/node';
import { userForm, validateNode } from '../../core/model/schema';
import { type NodeValue, parseNodeValue, valueText } from '../../core/model/values';
import { readKey } from './desired';
import { differences } from './differences';

/**
 * In one apply. etcd takes 128 operations a transaction (--max-txn-ops), nested ones included, and a
 * write that happens at most once names each of its keys twice (adapters/etcd/once.ts).
 */
export const MAX_RESOURCES = 60;

type Stored = NonNullable<Keyed<NodeValue>>;

/** All nodes as they are in etcd, and the key that must not have moved when they are written. */
interface Present {
  nodes: Map<string, Stored>;
  generation: number;
}

interface Planned {
  resource: NodeResource;
  stored: Stored | null;
  change: Change;
}

/** Conditions every write of a controller is under, e.g. the cluster's incarnation. */
export type Guard = () => Condition;

export class Resources {
  constructor(
    private readonly etcd: EtcdClient,
    private readonly guard: Guard,
  ) {}

  async plan(request: ApplyRequest): Promise<Planned[]> {
    return (await this.prepare(request)).planned;
  }

  async apply(request: ApplyRequest): Promise<Change[]> {
    const { planned, generation } = await this.prepare(request);
    assertFresh(planned, request.expectedRevisions);
    const changes = planned.filter(({ change }) => change.action !== 'none');
    if (changes.length === 0) return planned.map(({ change }) => change);
    const conditions = planned.map(({ resource, stored }) =>
      unchanged(keys.node(resource.metadata.name), stored?.revision ?? 0),
    );
    const outcome = await this.etcd.write(
      [this.guard(), unchanged(keys.generation, generation), ...conditions],
      [{ op: 'put', key: keys.generation, value: '' }, ...changes.map(put)],
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
  async node(name: string): Promise<Stored> {
    const stored = readKey(await this.etcd.get(keys.node(name)), parseNodeValue);
    if (stored) return stored;
    throw new AdminError({ code: 'notFound', message: `There is no node ${name}.` });
  }

  private async prepare({ resources }: ApplyRequest) {
    const wanted = validated(resources);
    const present = await this.present();
    assertSet(wanted, present);
    const planned = wanted.map((resource) =>
      planOne(resource, present.nodes.get(resource.metadata.name) ?? null),
    );
    return { planned, generation: present.generation };
  }

  /** The generation is read first: whoever writes after that is noticed. */
  private async present(): Promise<Present> {
    const generation = (await this.etcd.get(keys.generation))?.modRevision ?? 0;
    const { entries } = await this.etcd.list({ prefix: keys.nodes });
    const nodes = new Map(
      entries.flatMap((entry: KeyValue) => {
        const stored = readKey(entry, parseNodeValue);
        return stored ? [[stored.value.resource.metadata.name, stored] as const] : [];
      }),
    );
    return { nodes, generation };
  }
}

function validated(resources: readonly Resource[]): NodeResource[] {
  const issues: ClusterIssue[] = [];
  const wanted: NodeResource[] = [];
  const fault = (index: number, path: string[], message: string, expected: string): void => {
    issues.push({ node: '', index, path, code: 'malformed', message, expected });
  };
  if (resources.length > MAX_RESOURCES) {
    fault(0, [], `${resources.length} resources at once`, `at most ${MAX_RESOURCES}`);
  }
  for (const [index, { kind, json }] of resources.entries()) {
    if (kind !== 'Node') {
      fault(index, ['kind'], `"${kind}" is no kind of resource`, 'Node');
      continue;
    }
    const result = validateNode(json);
    if (result.ok) wanted.push(result.resource);
    else issues.push(...result.issues.map((issue) => ({ ...issue, node: nameIn(json), index })));
  }
  assertNone(issues);
  return wanted;
}

/** With all the nodes that are there, since two nodes must not hold one address. */
function assertSet(wanted: readonly NodeResource[], { nodes }: Present): void {
  const names = new Set(wanted.map(({ metadata }) => metadata.name));
  const others = [...nodes.values()]
    .map(({ value }) => value.resource)
    .filter(({ metadata }) => !names.has(metadata.name));
  const issues = validateCluster([...others, ...wanted]);
  assertNone(issues.map((issue) => ({ ...issue, index: issue.index - others.length })));
  for (const name of names) {
    if ((nodes.get(name)?.value.deletionRevision ?? null) === null) continue;
    const message = `Node ${name} is being deleted; wait until it is gone, then apply again.`;
    throw new AdminError({ code: 'precondition', message });
  }
}

function planOne(resource: NodeResource, stored: Stored | null): Planned {
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
    differences: former === null ? [] : differences(userForm(former), userForm(resource)),
    steps: [],
  };
  return { resource, stored, change };
}

const put = ({ resource }: Planned): KeyChange => ({
  op: 'put',
  key: keys.node(resource.metadata.name),
  value: valueText({ resource, deletionRevision: null }),
});

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
