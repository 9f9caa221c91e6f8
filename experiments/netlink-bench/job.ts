/**
 * Our side of the benchmark, as a process of its own that answers commands on stdin, one a line, as
 * the peer does (peer/main.go): the product's own paths, called as the agent calls them.
 */
import { createInterface } from 'node:readline';
import { openHost } from '../../adapters/native/host';
import type { EdgeSpec } from '../../core/model/edge-spec';
import type { HostPort, Step } from '../../core/model/host';
import { linkAlias } from '../../core/model/ids';
import { DEFAULT_REPAIR, NO_ROUTING } from '../../core/model/node';
import { diff } from '../../core/plan/diff';

const NODE = 'bench';
const MTU = 1500;

export interface Answer {
  wallMs: number;
  cpuMs: number;
  count: number;
}

async function applyAll(host: HostPort, steps: readonly Step[]): Promise<void> {
  const failed = (await host.applyAll(steps)).find((result) => !result.ok);
  if (failed && !failed.ok) throw new Error(failed.message);
}

const veth = (namespace: string, name: string, peer: string): Step => ({
  op: 'createVeth',
  namespace,
  name,
  peer,
  mtu: MTU,
  alias: linkAlias(NODE, namespace, name, 'host'),
  peerAlias: linkAlias(NODE, namespace, name, 'peer'),
});

const up = (namespace: string | null, name: string, alias: string): Step => ({
  op: 'setLinkUp',
  namespace,
  name,
  alias,
});

function specOf(namespace: string, pairs: number): EdgeSpec {
  const links = Array.from({ length: pairs }, (_, i) => ({
    name: `h${i}`,
    peer: `p${i}`,
    mtu: MTU,
    hostAddresses: [],
    addresses: [],
  }));
  return {
    schema: 1,
    node: NODE,
    revision: 1,
    phase: 'active',
    namespaces: [{ name: namespace, links, routes: [], sysctls: {} }],
    filters: [],
    blocklists: [],
    blocks: [],
    ...NO_ROUTING,
    services: [],
    repair: DEFAULT_REPAIR,
    frozen: { node: false, global: false },
  };
}

/** Makes what `read` reads. */
async function populate(host: HostPort, namespace: string, pairs: number): Promise<number> {
  await applyAll(host, [{ op: 'createNamespace', namespace }]);
  const links = Array.from({ length: pairs }, (_, i) => [`h${i}`, `p${i}`] as const);
  await applyAll(
    host,
    links.map(([name, peer]) => veth(namespace, name, peer)),
  );
  for (const side of ['host', 'peer'] as const) {
    const inside = side === 'host' ? null : namespace;
    await applyAll(
      host,
      links.map(([name, peer]) =>
        up(inside, side === 'host' ? name : peer, linkAlias(NODE, namespace, name, side)),
      ),
    );
  }
  return pairs;
}

/** The spec and the ledger are at hand when an agent reads its host, so they are made once. */
const specs = new Map<string, EdgeSpec>();

async function read(host: HostPort, namespace: string, pairs: number): Promise<number> {
  const spec = specs.get(namespace) ?? specOf(namespace, pairs);
  specs.set(namespace, spec);
  const observed = await host.observe({ namespaces: [namespace], sysctls: {}, filters: [] });
  const seen = observed.namespaces[namespace];
  if (seen?.state !== 'mounted' || observed.interrupted)
    throw new Error('the host did not hold still');
  const ledger = { namespaces: { [namespace]: { inode: seen.inode } }, sysctls: {} };
  return diff({ spec, observed, ledger, filterTag: host.filterTag, stages: null }).length;
}

const numbered = (prefix: string, n: number): string[] =>
  Array.from({ length: n }, (_, i) => `${prefix}${i}`);

async function create(host: HostPort, prefix: string, n: number): Promise<number> {
  const names = numbered(prefix, n);
  await applyAll(
    host,
    names.map((namespace) => ({ op: 'createNamespace', namespace })),
  );
  await applyAll(
    host,
    names.map((name) => veth(name, name, 'eth0')),
  );
  return n;
}

async function remove(host: HostPort, prefix: string, n: number): Promise<number> {
  const names = numbered(prefix, n);
  const { root, namespaces } = before.get(prefix) ?? (await host.observe(scopeOf(names)));
  const links = new Map(root.links.map((link) => [link.name, link]));
  await applyAll(
    host,
    names.map((name) => ({
      op: 'deleteLink',
      namespace: null,
      ifindex: links.get(name)?.ifindex ?? 0,
      name,
      alias: linkAlias(NODE, name, name, 'host'),
    })),
  );
  await applyAll(
    host,
    names.map((namespace) => {
      const seen = namespaces[namespace];
      return {
        op: 'deleteNamespace',
        namespace,
        inode: seen?.state === 'mounted' ? seen.inode : null,
      };
    }),
  );
  return n;
}

const scopeOf = (namespaces: string[]) => ({ namespaces, sysctls: {}, filters: [] });
/** A plan is made from an observation that is there already: `look` takes it, untimed. */
const before = new Map<string, Awaited<ReturnType<HostPort['observe']>>>();

async function look(host: HostPort, prefix: string, n: number): Promise<number> {
  before.set(prefix, await host.observe(scopeOf(numbered(prefix, n))));
  return n;
}

const JOBS = { populate, read, create, look, delete: remove };

async function main(): Promise<void> {
  const host = await openHost();
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb, name, n] = line.split(' ');
    const job = JOBS[verb as keyof typeof JOBS];
    const cpu = process.cpuUsage();
    const start = performance.now();
    const count = await job(host, name ?? '', Number(n));
    const used = process.cpuUsage(cpu);
    const answer: Answer = {
      wallMs: performance.now() - start,
      cpuMs: (used.user + used.system) / 1000,
      count,
    };
    console.log(JSON.stringify(answer));
  }
  host.close();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
