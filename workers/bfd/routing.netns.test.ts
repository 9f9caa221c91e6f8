/** The bfd process between a real gobgpd and BIRD: what it does about sessions that go, and about paths. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Bird, birdBgp, Gobgpd, RouterHost } from '../../adapters/gobgp/testing';
import { GobgpClient } from '../../adapters/gobgp/client';
import { until } from '../../adapters/testing/until';
import type { Lease, LeasedPath } from '../../core/announce/types';
import type { PeerConfig } from '../../core/bgp/types';
import { BfdHost, lease, session } from './testing/bfd-host';

const ASN = 65001;
const SERVICE = '203.0.113.10/32';
const LAST = '203.0.113.11/32';

const path = (prefix: string, more: Partial<LeasedPath> = {}): LeasedPath => ({
  prefix,
  service: 'dns',
  stance: 'announce',
  communities: [],
  prepend: 0,
  onExpiry: 'withdraw',
  ...more,
});

const BFD = `protocol bfd {
  interface "*" { min rx interval 100 ms; min tx interval 100 ms; idle tx interval 300 ms; multiplier 3; };
}
`;

/** An edge in the test's namespace, and BIRD as its router, which runs BFD with BGP. */
class Edge {
  readonly host: BfdHost;
  readonly gobgpd: Gobgpd;
  readonly client: GobgpClient;
  readonly router: RouterHost;
  bird!: Bird;
  leased: Lease;

  private constructor(t: TestContext, number: number, holdDownMs: number) {
    this.host = new BfdHost(t, null);
    this.gobgpd = new Gobgpd(t, this.host.directory);
    this.client = new GobgpClient(this.gobgpd.socket);
    t.after(() => this.client.close());
    this.router = new RouterHost(t, number);
    const own = session(this.peer, { intervalMs: 100, holdDownMs, bgp: true });
    this.leased = lease([own], { paths: [path(SERVICE), path(LAST, { onExpiry: 'deprefer' })] });
  }

  get peer(): string {
    return this.router.link.there.v4;
  }

  static async up(t: TestContext, number: number, holdDownMs = 1_500): Promise<Edge> {
    const edge = new Edge(t, number, holdDownMs);
    const bgp = birdBgp('edge4', edge.router, { extra: 'bfd on;' });
    edge.bird = await new Bird(edge.router).start(BFD + bgp);
    edge.host.start().attach(edge.leased);
    await edge.startGobgpd();
    await edge.serving();
    await edge.host.untilState(edge.peer, 'up');
    return edge;
  }

  /** What an agent does for its gobgpd. */
  async startGobgpd(): Promise<void> {
    this.gobgpd.start();
    await until('gobgpd answers', () =>
      this.client.global().then(
        () => true,
        () => false,
      ),
    );
    await this.client.start({ asn: ASN, routerId: '10.99.0.1', listenPort: null });
    const exportPrefixes = [SERVICE, LAST];
    await this.client.setPolicies({ exportPrefixes, importPrefixes: [], held: null });
    const config: PeerConfig = {
      address: this.peer,
      asn: 65010,
      password: '',
      ttlSecurity: false,
      multihop: null,
      holdTimeS: 9,
      maxPrefixes: 10,
    };
    await this.client.addPeer(config);
  }

  routes(): Map<string, string> {
    return this.bird.routes('edge4');
  }

  serving(): Promise<unknown> {
    return until('the router has the service', () => this.routes().has(SERVICE), 30_000);
  }

  established(): boolean {
    return this.bird.session('edge4').info.startsWith('Established');
  }

  events(kind: string): string[] {
    return this.host.events.flatMap((event) =>
      event.kind === kind && 'cause' in event ? [event.cause] : event.kind === kind ? [''] : [],
    );
  }
}

test('a silent cut: reset at once, nothing exported until BFD has been up for the hold-down', async (t) => {
  // Long enough to ask two others while it lasts, on a busy machine too.
  const edge = await Edge.up(t, 11, 5_000);
  const { host, peer } = edge;
  host.cut('in', 'out');
  await host.until('held', ({ peers }) => peers.some(({ held }) => held !== null));
  await until('told', () => edge.events('bfdDown').length > 0);
  assert.deepEqual(edge.events('bfdDown'), ['path']);
  await until('BGP is down', async () => (await edge.client.peers())[0]?.state !== 'established');
  await until('told', () => edge.events('bgpDown').length > 0);
  assert.deepEqual(edge.events('bgpDown'), ['consequence']);
  host.heal();
  const counting = await host.until(
    'BFD is up, and the hold-down runs',
    ({ sessions: [view], peers: [neighbour] }) =>
      view?.state === 'up' && neighbour?.held?.untilMs != null,
    40_000,
  );
  const untilMs = counting.peers[0]?.held?.untilMs ?? 0;
  assert.equal(edge.routes().has(SERVICE), false, 'told while it was held');
  await edge.serving();
  assert.ok(Date.now() >= untilMs, 'before the hold-down was over');
  const { peers } = await host.look();
  assert.equal(peers.find(({ address }) => address === peer)?.held, null);
  await until('told', () => edge.events('bfdUp').length === 2);
});

test('a router that resets BGP takes BFD with it: nobody is held, and it is back each time', async (t) => {
  const edge = await Edge.up(t, 12);
  for (let round = 1; round <= 3; round++) {
    const before = edge.host.events.length;
    edge.bird.ask('restart', 'edge4');
    await until('BGP is down', () => edge.events('bgpDown').length === round);
    await edge.serving();
    await edge.host.untilState(edge.peer, 'up');
    const after = edge.host.events.slice(before);
    t.diagnostic(after.map((e) => `${e.kind} ${'cause' in e ? e.cause : ''}`).join(', '));
    assert.ok(!after.some((e) => e.kind === 'bfdDown' && e.cause === 'path'));
  }
  assert.ok(!/"held":\["/.test(edge.host.log), 'held for a consequence');
});

test('a reset that races with the end of the session locks nobody out', async (t) => {
  const edge = await Edge.up(t, 13);
  for (let round = 0; round < 6; round++) {
    // Both at once, each ahead of the other by some milliseconds in turn.
    const aheadMs = (round - 2) * 2;
    const reset = delay(Math.max(0, aheadMs)).then(() => edge.client.resetPeer(edge.peer, 'race'));
    const restart = delay(Math.max(0, -aheadMs)).then(() => edge.bird.ask('restart', 'edge4'));
    await Promise.all([reset, restart]);
    await until('BGP is up again', () => edge.established(), 20_000);
    // A NOTIFICATION that waited would end it within a millisecond.
    await until(
      'and has a history',
      async () => (await edge.client.peers())[0]?.state === 'established',
    );
    const [first] = await edge.client.peers();
    await delay(500);
    const [then] = await edge.client.peers();
    assert.equal(then?.state, 'established', `round ${round}`);
    assert.equal(then.sinceMs, first?.sinceMs, `round ${round}`);
  }
});

test('an agent that is missing for the grace time: each path goes as was agreed, and comes back', async (t) => {
  const edge = await Edge.up(t, 14);
  const { host } = edge;
  host.attach({ ...edge.leased, graceMs: 700 });
  await host.until('leased', ({ expired }) => expired === null);
  assert.match(edge.routes().get(LAST) ?? '', /BGP.as_path: 65001\n/);
  host.detach();
  await until('withdrawn', () => !edge.routes().has(SERVICE));
  await until('depreferred', () => edge.routes().get(LAST)?.includes('(65535,0)'));
  assert.match(edge.routes().get(LAST) ?? '', /BGP.as_path: 65001 65001 65001 65001\n/);
  const report = await host.look();
  assert.notEqual(report.expired, null);
  assert.deepEqual(report.paths, [{ prefix: LAST, stance: 'deprefer' }]);
  // The sessions stay: that the agent is gone says nothing about the path.
  assert.equal(report.sessions[0]?.state, 'up');
  // A restart changes nothing.
  await host.end('SIGKILL');
  host.start();
  await host.until('answers', ({ gobgpd, expired }) => gobgpd.problem === null && expired !== null);
  assert.equal(edge.routes().has(SERVICE), false);
  host.attach(edge.leased);
  await edge.serving();
  await until('preferred', () => !edge.routes().get(LAST)?.includes('(65535,0)'));
});

test('gobgpd killed, and started empty: told, then paths and held neighbours are there again', async (t) => {
  const edge = await Edge.up(t, 15);
  const { host } = edge;
  await edge.gobgpd.kill();
  await host.until('told', ({ gobgpd }) => gobgpd.problem !== null);
  assert.match((await host.look()).gobgpd.problem ?? '', /does not answer/);
  assert.equal((await host.look()).peers[0]?.state, 'unknown');
  await edge.startGobgpd();
  await edge.serving();
  const { paths } = await host.until('as it shall be', ({ gobgpd }) => gobgpd.problem === null);
  assert.deepEqual(paths.map(({ prefix }) => prefix).sort(), [SERVICE, LAST]);
  await until('told', () => edge.events('bfdDown').length > 0);
  assert.ok(!edge.events('bfdDown').includes('path'), 'no path was dead');
  // What somebody else took away or put there is put right within the time of a look.
  await edge.client.deletePath(SERVICE);
  await edge.client.addPath({ prefix: '203.0.113.99/32', communities: [], asPath: [] });
  await until('put right', async () => {
    const there = (await edge.client.paths()).map(({ prefix }) => prefix).sort();
    return there.join() === [SERVICE, LAST].join();
  });
  // Hung, it holds nobody up; and it is found again.
  edge.gobgpd.signal('SIGSTOP');
  await host.until('told', ({ gobgpd }) => gobgpd.problem !== null);
  edge.gobgpd.signal('SIGCONT');
  await host.until('found again', ({ gobgpd }) => gobgpd.problem === null);
  await edge.serving();
  // A neighbour that is taken away is none of ours any more.
  host.attach({ ...edge.leased, sessions: [] });
  await host.until('no session', ({ sessions }) => sessions.length === 0);
  await edge.client.deletePeer(edge.peer);
  await host.until('no neighbour', ({ peers }) => peers.length === 0);
});

test("another one's gobgpd at the socket keeps its paths", async (t) => {
  const host = new BfdHost(t, null);
  const gobgpd = new Gobgpd(t, host.directory);
  const client = new GobgpClient(gobgpd.socket);
  t.after(() => client.close());
  gobgpd.start();
  const answers = (): Promise<boolean> =>
    client.global().then(
      () => true,
      () => false,
    );
  await until('gobgpd answers', answers);
  gobgpd.cli('global', 'as', '64512', 'router-id', '192.0.2.1', 'listen-port', '1793');
  gobgpd.cli('global', 'rib', 'add', '198.51.100.0/24');
  host.start();
  await host.until('it runs', () => true);
  host.attach(lease([], { paths: [path(SERVICE)] }));
  await host.until('looked at', ({ gobgpd: { problem } }) =>
    /waits for the agent/.test(problem ?? ''),
  );
  assert.deepEqual(
    (await client.paths()).map(({ prefix }) => prefix),
    ['198.51.100.0/24'],
  );
  // Once the agent has set it up, its paths are those of the lease.
  await client.setPolicies({ exportPrefixes: [SERVICE], importPrefixes: [], held: null });
  await until('the service', async () => (await client.paths()).some((p) => p.prefix === SERVICE));
});
