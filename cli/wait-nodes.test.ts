/** `apply --wait` where the controller has not read yet what it wrote, and where it goes away. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { AdminPort, Change } from '../adapters/admin/proto';
import { type AdminServer, serveAdmin } from '../adapters/admin/server';
import type { AnycastServiceView, NodeView } from '../core/model/views';
import { EXIT } from './exit-codes';
import { aether, type Ended } from './testing';

const NODE = `apiVersion: aether.dev/v1
kind: Node
metadata: { name: fra-1, region: here, labels: { tier: edge } }
spec: { namespaces: [] }
`;
const SERVICE = `apiVersion: aether.dev/v1
kind: AnycastService
metadata: { name: web }
spec: { prefixes: [203.0.113.10/32], namespace: edge, nodes: { tier: edge } }
`;

const WRITTEN = 7;
const change = (kind: string, name: string, revision: number): Change => ({
  ...{ kind, name, action: 'update', revision, differences: [], steps: [], notes: [] },
});

const view = (over: Partial<NodeView>): NodeView => ({
  ...{
    name: 'fra-1',
    region: 'here',
    labels: { tier: 'edge' },
    phase: 'active',
    revision: WRITTEN,
  },
  ...{ deletionRevision: null, shard: 0, connected: true, converged: true, findings: 0 },
  ...{ frozen: false, lastIncident: null, certificateIssuedAtMs: null, note: null },
  ...over,
});
const before = view({ revision: WRITTEN - 2 });
const serviceAt = (revision: number): AnycastServiceView => ({
  ...{ name: 'web', revision, prefixes: [], namespace: 'edge', nodes: { tier: 'edge' } },
  ...{ minAnnouncers: 1, bound: 1, announcers: [] },
});

interface World {
  apply(...flags: string[]): Promise<Ended>;
  /** Looks at the nodes so far. */
  looks(): number;
  /** The controller ends, and another one begins. */
  restart(): Promise<void>;
}

async function world(
  t: TestContext,
  text: string,
  written: [kind: string, name: string],
  nodes: (look: number) => NodeView[] | Promise<never>,
  services: (look: number) => AnycastServiceView[] = () => [],
): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'aether-wait-'));
  const [socket, file] = [join(directory, 'admin.sock'), join(directory, 'r.yaml')];
  writeFileSync(file, text);
  let [looks, asked] = [0, 0];
  const port = {
    plan: async () => [change(...written, WRITTEN - 2)],
    apply: async () => [change(...written, WRITTEN)],
    get: async ({ kind }: { kind: string }) =>
      kind === 'Node' ? nodes(++looks) : services(++asked),
  } as unknown as AdminPort;
  const serve = (): Promise<AdminServer> =>
    serveAdmin(socket, { port, audit: () => undefined, onError: () => undefined });
  let server = await serve();
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    apply: (...flags) => aether('apply', '-f', file, '--wait', '--socket', socket, ...flags),
    looks: () => looks,
    restart: async () => {
      server.close();
      server = await serve();
    },
  };
}

test('a node that is as the former spec says is not taken for one that has the new one', async (t) => {
  const refused = view({ converged: false, note: 'its agent refused the spec: no link peer0' });
  const nodes = (look: number): NodeView[] => [look < 2 ? before : refused];
  const { apply } = await world(t, NODE, ['Node', 'fra-1'], nodes);
  const { code, stderr } = await apply('--timeout', '3s');
  assert.equal(code, EXIT.timeout, stderr);
  assert.doesNotMatch(stderr, /as it should be/);
  assert.match(
    stderr,
    /Not settled within 3s: fra-1 \(active, its agent refused the spec: no link/,
  );
  const { stdout } = await apply('--timeout', '1s', '--json');
  const { error } = JSON.parse(stdout) as { error: { changes: Change[]; nodes: NodeView[] } };
  assert.deepEqual(
    [error.changes[0]?.revision, error.nodes[0]?.note],
    [WRITTEN, refused.note],
    'what was written is told also where the waiting ends badly',
  );
});

test('what is bound to nodes is waited for on those nodes', async (t) => {
  const services = (look: number) => [serviceAt(look < 3 ? WRITTEN - 2 : WRITTEN)];
  const away = view({ name: 'ams-1', labels: {}, connected: false, converged: false });
  const nodes = (look: number) => [away, view({ converged: look < 3 || look > 5 })];
  const { apply, looks } = await world(t, SERVICE, ['AnycastService', 'web'], nodes, services);
  const { code, stdout, stderr } = await apply();
  assert.equal(code, EXIT.ok, stderr);
  assert.match(stdout, /\n1 node active and as it should be\./);
  assert.ok(looks() > 5, `${looks()} looks`);
});

test('whoever waits goes on with the controller that comes after the one he asked', async (t) => {
  const nodes = (look: number): NodeView[] | Promise<never> => {
    if (look !== 2) return [view({ converged: look > 5 })];
    setImmediate(() => void restart());
    return new Promise(() => undefined);
  };
  const { apply, restart } = await world(t, NODE, ['Node', 'fra-1'], nodes);
  const { code, stderr } = await apply();
  assert.equal(code, EXIT.ok, stderr);
  assert.match(stderr, /^.*admin\.sock: .*; asking again …$/m);
});

test('a time that is none is told before anything is written', async (t) => {
  const { apply, looks } = await world(t, NODE, ['Node', 'fra-1'], () => [view({})]);
  const { code, stderr } = await apply('--timeout', 'soon');
  assert.deepEqual([code, looks()], [EXIT.usage, 0], stderr);
});
