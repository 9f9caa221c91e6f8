/**
 * Any life of services, commands and permits in etcd: a node's spec never has a lower revision than
 * before, and never other content at the same one (decision 0023). Edges refuse the first, and would
 * not notice the second.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Change } from '../../adapters/etcd/port';
import type { AnycastServiceResource } from '../../core/model/anycast';
import { keys } from '../../core/model/keys';
import { exampleService } from '../../core/model/testing';
import { parseServiceValue, valueText } from '../../core/model/values';
import { DesiredState, readKey } from './desired';
import { type KindDependencies, STORED_KINDS, unboundMarks } from './kinds';
import { nodeResource } from './testing/resources';

const NODES = ['a', 'b', 'c'];
const SERVICES = ['web', 'dns'];
const LABELS = [{ tier: 'edge' }, { zone: 'one' }, { tier: 'edge', zone: 'one' }];

/** What etcd does with transactions, and the picture that follows its watch. */
class Store {
  readonly desired = new DesiredState();
  readonly #keys = new Map<string, { value: string; modRevision: number }>();
  #revision = 1;

  constructor() {
    this.desired.apply({ kind: 'snapshot', revision: 1, entries: [] });
  }

  /** Only of those that were told to be concerned anything may differ. */
  write(changes: readonly Change[]): Set<string> {
    this.#revision += 1;
    const concerned = new Set<string>();
    for (const change of changes) {
      const { key } = change;
      if (change.op === 'delete') this.#keys.delete(key);
      else this.#keys.set(key, { value: change.value.toString(), modRevision: this.#revision });
      const entry = this.get(key);
      const told = this.desired.apply(
        entry === null
          ? { kind: 'delete', key, modRevision: this.#revision }
          : { kind: 'put', entry },
      );
      for (const node of told === 'all' ? NODES : told.nodes) concerned.add(node);
    }
    return concerned;
  }

  get(key: string) {
    const found = this.#keys.get(key);
    if (found === undefined) return null;
    const { value, modRevision } = found;
    const rest = { createRevision: 1, version: 1, leaseId: null };
    return { key, value: Buffer.from(value), modRevision, ...rest };
  }
}

const stored = (store: Store, name: string) =>
  readKey(store.get(keys.service(name)), parseServiceValue);

/** As `Resources.apply` and `Resources.remove` write it. */
async function apply(store: Store, resource: AnycastServiceResource): Promise<Change[]> {
  const kind = STORED_KINDS.AnycastService;
  const former = stored(store, resource.metadata.name);
  const { changes } = await kind.write(resource, former, {} as KindDependencies);
  return [...unboundMarks(kind.unbound(resource, former)), ...changes];
}

function remove(store: Store, name: string): Change[] {
  const kind = STORED_KINDS.AnycastService;
  const former = stored(store, name);
  if (former === null) return [];
  return [
    { op: 'delete', key: kind.key(name) },
    ...kind.belongings(name).map((key) => ({ op: 'delete', key }) as const),
    ...unboundMarks([former.value.resource.spec.nodes]),
  ];
}

const put = (key: string, value: Parameters<typeof valueText>[0]): Change => ({
  op: 'put',
  key,
  value: valueText(value),
});

type Event = (store: Store) => Promise<Change[]> | Change[];

const service = fc.constantFrom(...SERVICES);
const node = fc.constantFrom(...NODES);
const labels = fc.constantFrom(...LABELS);
const command = fc
  .constantFrom('announce' as const, 'deprefer' as const, 'withdraw' as const)
  .map((stance) => ({ stance, reason: 'r', by: 'me', atMs: 1 }));
/** Of services that are there: who writes these keys has the service's own among the conditions. */
const ofService =
  (name: string, change: Change): Event =>
  (store) =>
    stored(store, name) === null ? [] : [change];

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ name: service, nodes: labels, minAnnouncers: fc.nat(2) }).map(
    ({ name, ...spec }): Event =>
      (store) =>
        apply(store, exampleService(name, spec)),
  ),
  service.map(
    (name): Event =>
      (store) =>
        remove(store, name),
  ),
  fc
    .tuple(service, command)
    .map(([name, test]) => ofService(name, put(keys.traffic(name), { regions: { test } }))),
  fc
    .tuple(service, fc.subarray(NODES), fc.constantFrom('held' as const, 'returning' as const))
    .map(([name, holders, state]) =>
      ofService(
        name,
        put(keys.permits(name), {
          holders: Object.fromEntries(holders.map((each) => [each, { state }])),
        }),
      ),
    ),
  fc
    .tuple(node, command)
    .map(([name, value]): Event => () => [put(keys.routing(name), { command: value })]),
  fc.tuple(node, labels).map(([name, value]): Event => () => [declare(name, value)]),
);

const declare = (name: string, value: Record<string, string>): Change => {
  const resource = nodeResource(name, NODES.indexOf(name) + 1);
  const metadata = { ...resource.metadata, labels: value };
  return put(keys.node(name), { resource: { ...resource, metadata }, deletionRevision: null });
};

const specsOf = ({ desired }: Store) =>
  new Map(NODES.map((name) => [name, { ...desired.of(name) }] as const));

test('whatever comes and goes, no revision falls, and other content has a higher one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
      const store = new Store();
      for (const name of NODES) {
        store.write([declare(name, LABELS[0]!), put(keys.phase(name), { phase: 'active' })]);
      }
      for (const one of events) {
        const before = specsOf(store);
        const concerned = store.write(await one(store));
        for (const [name, { spec, hash }] of specsOf(store)) {
          const was = before.get(name);
          assert.ok(spec && was?.spec);
          assert.ok(spec.revision >= was.spec.revision, `the revision of ${name} fell`);
          if (hash === was.hash) continue;
          assert.ok(spec.revision > was.spec.revision, `${name} has other content`);
          assert.ok(concerned.has(name), `nobody was told of ${name}`);
        }
      }
    }),
    { numRuns: 300 },
  );
});
