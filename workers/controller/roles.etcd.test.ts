/** Who may do what over TLS, each verb by each role, against a real controller. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type ServiceError, status } from '@grpc/grpc-js';
import { AdminClient } from '../../adapters/admin/client';
import { LEAST } from '../../adapters/admin/acts';
import { ADMIN_SERVICE, CODECS, type RouteOrder } from '../../adapters/admin/proto';
import { caInit, caIssue } from '../../adapters/ca/authority';
import type { Role } from '../../adapters/ca/identity';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { PeerLink } from '../../adapters/peer/client';
import { until } from '../../workflows/testing/until';
import { runCli } from './testing/cli';
import { Cluster, type Tls } from './testing/cluster';
import { nodeResource } from './testing/resources';

const skip = withoutEtcd;

const order = (over: Partial<RouteOrder>): RouteOrder => ({
  verb: 'drain',
  node: null,
  service: null,
  from: null,
  to: null,
  reason: 'a test',
  force: false,
  forMs: 0,
  ...over,
});
const block = (over: object) => ({
  ...{ prefix: '198.51.100.7', blocked: true, reason: 'a test', forMs: 0, nodes: {}, force: false },
  ...over,
});

type Ask = (admin: AdminClient) => Promise<unknown>;

/** Each thing that can be asked for, and who may; of what is not there, so that little comes of it. */
const MATRIX: readonly [what: string, may: string, ask: Ask][] = [
  ['plan', 'viewer operator breaker', (a) => a.plan([nodeResource('ams-1', 1)])],
  ['get', 'viewer operator breaker', (a) => a.get()],
  ['describe', 'viewer operator breaker', (a) => a.describe('nrt-1')],
  ['explain', 'viewer operator breaker', (a) => a.explain('nrt-1')],
  ['status', 'viewer operator breaker', (a) => a.status()],
  ['askFilter', 'viewer operator breaker', (a) => a.askFilter('nrt-1', { kind: 'stats' })],
  ['routeProgress', 'viewer operator breaker', (a) => a.routeProgress('node/nrt-1/drain')],
  ['routing', 'viewer operator breaker', (a) => a.routing('nrt-1')],
  ['members', 'viewer operator breaker', (a) => a.members()],
  ['ring', 'viewer operator breaker', (a) => a.ring()],
  ['drainController', 'operator breaker', (a) => a.drainController('c9', true)],
  ['undrainController', 'operator breaker', (a) => a.drainController('c9', false)],
  ['apply', 'operator breaker', (a) => a.apply([], null)],
  ['apply by force', 'breaker', (a) => a.apply([], null, true)],
  ['delete', 'operator breaker', (a) => a.delete('nrt-1', false)],
  ['delete by force', 'breaker', (a) => a.delete('nrt-1', true)],
  ['audit', 'operator breaker', (a) => a.audit()],
  ['freeze', 'operator breaker', (a) => a.freeze('nrt-1', true, 'a test')],
  ['unfreeze', 'operator breaker', (a) => a.freeze('nrt-1', false, 'a test')],
  ['approve', 'operator breaker', (a) => a.approve('nrt-1', 'x')],
  ['block', 'operator breaker', (a) => a.block(block({}))],
  ['block by force', 'breaker', (a) => a.block(block({ force: true }))],
  ['unblock', 'operator breaker', (a) => a.block(block({ prefix: '192.0.2.9', blocked: false }))],
  ['refreshBlocklist', 'operator breaker', (a) => a.refreshBlocklist('nothing')],
  ...(['drain', 'undrain', 'quarantine', 'release'] as const).flatMap(
    (verb): [string, string, Ask][] => [
      [verb, 'operator breaker', (a) => a.route(order({ verb, node: 'nrt-1' }))],
      [`${verb} by force`, 'breaker', (a) => a.route(order({ verb, node: 'nrt-1', force: true }))],
    ],
  ),
  ...(['failover', 'failBack'] as const).flatMap((verb): [string, string, Ask][] => [
    [verb, 'operator breaker', (a) => a.route(order({ verb, service: 'dns' }))],
    [`${verb} by force`, 'breaker', (a) => a.route(order({ verb, service: 'dns', force: true }))],
  ]),
];

/** Who may not even what is not forced is told so: of that request nothing was read. */
const least = (needed: string): string => (needed === 'breaker' ? '(operator|breaker)' : needed);

const ROLES: readonly Role[] = ['viewer', 'operator', 'breaker', 'controller', 'edge', 'etcd'];

const pem = ({ ca, cert, key }: Tls) => ({
  ca: readFileSync(ca),
  cert: readFileSync(cert),
  key: readFileSync(key),
});

async function clientOf(t: TestContext, cluster: Cluster, role: Role): Promise<AdminClient> {
  const tls = pem(await cluster.certificate(role, 'ada'));
  const client = new AdminClient({ server: cluster.adminAddress, tls }, 'somebody else');
  t.after(() => client.close());
  return client;
}

async function world(t: TestContext): Promise<Cluster> {
  const cluster = await Cluster.start(t, { temporal: false });
  await cluster.startController();
  await cluster.ready();
  return cluster;
}

test('the table has a row for each thing that can be asked for', () => {
  const rows = new Set(MATRIX.map(([what]) => what.split(' ')[0]));
  assert.deepEqual([...rows].sort(), Object.keys(LEAST).sort());
  const verbs = Object.keys(ADMIN_SERVICE).map(
    (name) => name.charAt(0).toLowerCase() + name.slice(1),
  );
  assert.deepEqual(verbs.sort(), Object.keys(CODECS).sort(), 'a method that no verb stands for');
});

const refusalOf = (work: Promise<unknown>): Promise<ServiceError | null> =>
  work.then(
    () => null,
    (error: ServiceError) => error,
  );

const audited = (cluster: Cluster) =>
  cluster
    .log('controller')
    .split('\n')
    .filter((line) => line.includes('"audit":true'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test(
  'each role may what the table says, and nothing else',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await world(t);
    for (const role of ROLES) {
      const admin = await clientOf(t, cluster, role);
      for (const [what, may, ask] of MATRIX) {
        const error = await refusalOf(ask(admin));
        const denied = error?.code === status.PERMISSION_DENIED;
        assert.equal(denied, !may.split(' ').includes(role), `${role}: ${what}: ${error?.message}`);
        const needed = may.split(' ')[0] ?? '';
        if (denied)
          assert.match(error.details, new RegExp(`^${role}/ada may not .* role ${least(needed)};`));
      }
    }
  },
);

test(
  'an act leaves one line that says who, what and how it ended',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await world(t);
    const operator = await clientOf(t, cluster, 'operator');
    await operator.apply([nodeResource('fra-1', 1)], null);
    await until('it is read', async () => (await operator.get()).length === 1);
    await operator.freeze('fra-1', true, 'a look');
    await refusalOf(operator.delete('nrt-1', false));
    await refusalOf(operator.delete('fra-1', true));
    await operator.get();
    await cluster.admin.freeze('fra-1', false, '');
    const lines = await until('all are told', () => {
      const found = audited(cluster);
      return found.length >= 5 ? found : null;
    });
    assert.deepEqual(
      lines.map(({ by, verb, object }) => [by, verb, object]),
      [
        ['operator/ada', 'apply', 'Node/fra-1'],
        ['operator/ada', 'freeze', 'Node/fra-1'],
        ['operator/ada', 'delete', 'Node/nrt-1'],
        ['operator/ada', 'delete', 'Node/fra-1'],
        ['tester', 'unfreeze', 'Node/fra-1'],
      ],
    );
    assert.deepEqual(
      lines.map(({ outcome }) => String(outcome).split(/[:;]/)[0]),
      ['done', 'done', 'refused', 'refused', 'done'],
    );
    assert.match(
      String(lines[3]?.['outcome']),
      /may not delete by force; it takes the role breaker/,
    );
    assert.equal(lines[1]?.['reason'], 'a look');
  },
);

test('the line is written whatever the level of the log', { skip, timeout: 60_000 }, async (t) => {
  const cluster = await Cluster.start(t, { temporal: false });
  await cluster.startController({ AETHER_LOG_LEVEL: 'error' });
  await cluster.ready();
  await cluster.admin.freeze(null, true, 'a look');
  const lines = await until('it is told', () => {
    const found = audited(cluster);
    return found.length > 0 ? found : null;
  });
  assert.deepEqual(
    lines.map(({ by, verb, reason, outcome }) => [by, verb, reason, outcome]),
    [['tester', 'freeze', 'a look', 'done']],
  );
});

test('facts of edges are for controllers alone', { skip, timeout: 60_000 }, async (t) => {
  const cluster = await world(t);
  const told = async (role: Role, id: string, controller = 'c1'): Promise<string> => {
    const tls = pem(await cluster.certificate(role, id));
    const why = await new Promise<string>((resolve) => {
      const link = new PeerLink(
        { controller, address: cluster.adminAddress, tls },
        {
          begins: () => undefined,
          facts: () => undefined,
          synced: () => resolve('everything'),
          lost: resolve,
        },
      );
      t.after(() => link.close());
      link.start();
    });
    return why;
  };
  assert.equal(await told('controller', 'c9'), 'everything');
  assert.match(await told('controller', 'c9', 'c2'), /that of controller\/c1/);
  for (const role of ['edge', 'viewer', 'operator', 'breaker', 'etcd'] as const) {
    assert.match(await told(role, 'ada'), /for controllers alone.*\/ada/);
  }
});

test(
  'the command goes over TLS, to the first that answers',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await world(t);
    const { ca, cert, key } = await cluster.certificate('viewer', 'ada');
    const tls = ['--tls-ca', ca, '--tls-cert', cert, '--tls-key', key];
    const servers = ['--server', `127.0.0.1:1,${cluster.adminAddress}`];
    const status = await runCli({}, 'status', ...servers, ...tls);
    assert.equal(status.code, 0, status.stderr);
    const by = { AETHER_ADMIN_SERVER: cluster.adminAddress, AETHER_ADMIN_CA: ca };
    const named = { ...by, AETHER_ADMIN_CERT: cert, AETHER_ADMIN_KEY: key };
    const denied = await runCli(named, 'freeze', 'fra-1', '--reason', 'a test');
    assert.equal(denied.code, 9, denied.stderr);
    assert.match(denied.stderr, /^viewer\/ada may not freeze; it takes the role operator/m);
    const without = await runCli(by, 'status');
    assert.equal(without.code, 2);
    assert.match(without.stderr, /--tls-cert/);
    const nobody = await runCli({}, 'status', '--server', '127.0.0.1:1', ...tls);
    assert.equal(nobody.code, 4);
    assert.match(nobody.stderr, /No controller answers on 127\.0\.0\.1:1: .*ECONNREFUSED/);
  },
);

test(
  'one that hangs is passed over while it is waited for, and waiting is told',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await world(t);
    const hole = createServer(() => undefined).listen(0, '127.0.0.1');
    const sockets = new Set<Socket>();
    hole.on('connection', (socket) => sockets.add(socket));
    t.after(() => {
      hole.close();
      for (const socket of sockets) socket.destroy();
    });
    await once(hole, 'listening');
    const dead = `127.0.0.1:${(hole.address() as AddressInfo).port}`;
    const { ca, cert, key } = await cluster.certificate('viewer', 'ada');
    const ends: string[] = [];
    const ask = async (servers: string) => {
      const ended = await runCli(
        {},
        'status',
        '--server',
        servers,
        '--tls-ca',
        ca,
        '--tls-cert',
        cert,
        '--tls-key',
        key,
      );
      ends.push(servers);
      return ended;
    };
    const [passed, waited] = await Promise.all([
      ask(`${dead},${dead},${cluster.adminAddress}`),
      ask(`${dead},${dead}`),
    ]);
    assert.equal(passed.code, 0, passed.stderr);
    assert.equal(ends.at(-1), `${dead},${dead}`, 'it was waited for');
    assert.equal(waited.code, 4, waited.stderr);
    assert.match(waited.stderr, /^Waiting for any of 127.*\nNo controller answers on/);
  },
);

test(
  'certificates that are not accepted are told as such, with what to do',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await world(t);
    const own = await cluster.certificate('operator', 'ada');
    const ca = join(cluster.directory, 'ca');
    const foreign = join(cluster.directory, 'foreign');
    await caInit(foreign);
    const request = { role: 'operator', id: 'eve' } as const;
    const stranger = await caIssue(foreign, request);
    const expired = await caIssue(ca, { ...request, validDays: 1 }, Date.now() - 3 * 86_400_000);
    const refused = async (tls: Tls): Promise<string> => {
      const flags = ['--tls-ca', tls.ca, '--tls-cert', tls.cert, '--tls-key', tls.key];
      // The first is not there at all: that is not what is told.
      const servers = `127.0.0.1:1,${cluster.adminAddress}`;
      const { code, stderr } = await runCli({}, 'status', '--server', servers, ...flags);
      assert.equal(code, 9, stderr);
      return stderr;
    };
    const [theirs, wrongCa, late, mixed] = await Promise.all([
      refused({ ca: own.ca, cert: stranger.certPath, key: stranger.keyPath }),
      refused({ ...own, ca: join(foreign, 'ca.pem') }),
      refused({ ca: own.ca, cert: expired.certPath, key: expired.keyPath }),
      refused({ ...own, key: stranger.keyPath }),
    ]);
    assert.match(theirs, /^controller\/c1 on .* refuses the certificate of operator\/eve \(/m);
    assert.match(theirs, /aether ca issue operator/);
    assert.match(wrongCa, /is not of an authority in .*foreign\/ca\.pem/);
    assert.match(wrongCa, /Is --tls-ca the ca\.pem of that cluster/);
    assert.match(late, /has expired/);
    assert.match(mixed, /key\.?.* is not that of the certificate/);
    const edge = await cluster.certificate('edge', 'fra-1');
    assert.match(await refused(edge), /^edge\/fra-1 may not status; it takes the role viewer/m);

    const flags = ['--server', cluster.adminAddress, '--tls-ca', join(foreign, 'ca.pem')];
    const doctor = await runCli(
      {},
      'doctor',
      ...flags,
      '--tls-cert',
      own.cert,
      '--tls-key',
      own.key,
    );
    assert.equal(doctor.code, 1, doctor.stderr);
    assert.match(doctor.stdout, /^MISSING +controller +.* is not of an authority in /m);
    assert.match(doctor.stdout, /^ok +kernel /m, 'what it found of the machine is told as well');
    const elsewhere = await runCli(
      {},
      ...['status', '--server', `127.0.0.1:${cluster.edgePort}`, '--tls-ca', own.ca],
      ...['--tls-cert', own.cert, '--tls-key', own.key],
    );
    assert.equal(elsewhere.code, 1, elsewhere.stderr);
    assert.match(elsewhere.stderr, /Is it the port of the admin API \(AETHER_ADMIN_LISTEN, 7702;/);
  },
);
