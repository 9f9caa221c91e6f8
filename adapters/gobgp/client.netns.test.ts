import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { BgpEvent, PeerConfig } from '../../core/bgp/types';
import { until } from '../testing/until';
import { GobgpClient } from './client';
import { Bird, birdBgp, Gobgpd, RouterHost, temporaryDirectory } from './testing';

const ASN = 65001;
const SERVICE = '203.0.113.10/32';
const SERVICE6 = '2001:db8:10::10/128';

async function started(
  t: TestContext,
  gobgpd: Gobgpd = new Gobgpd(t).start(),
  listenPort: number | null = null,
): Promise<GobgpClient> {
  const client = new GobgpClient(gobgpd.socket);
  t.after(() => client.close());
  await until('gobgpd answers', () =>
    client.global().then(
      () => true,
      () => false,
    ),
  );
  await client.start({ asn: ASN, routerId: '10.99.0.1', listenPort });
  return client;
}

export const peer = (address: string, more: Partial<PeerConfig> = {}): PeerConfig => ({
  address,
  asn: 65010,
  password: '',
  ttlSecurity: false,
  multihop: null,
  holdTimeS: 9,
  maxPrefixes: 10,
  ...more,
});

const established = (client: GobgpClient, address: string) =>
  until(`${address} is established`, async () => {
    const found = (await client.peers()).find(({ config }) => config.address === address);
    return found?.state === 'established' ? found : null;
  });

test('what leaves is named and ours, what enters is named; the rest does neither', async (t) => {
  const host = new RouterHost(t, 1);
  const bird = await new Bird(host).start(
    birdBgp('edge4', host, { export: 'all' }) +
      birdBgp('edge6', host, { v6: true, export: 'all' }) +
      `protocol static { ipv4; route 198.51.100.0/24 blackhole; route 198.51.100.128/25 blackhole;
         route 192.0.2.0/24 blackhole; }
       protocol static { ipv6; route 2001:db8:20::/48 blackhole; route 2001:db8:30::/48 blackhole; }`,
  );
  const client = await started(t);
  await client.setPolicies({
    exportPrefixes: [SERVICE, SERVICE6],
    importPrefixes: ['198.51.100.0/24', '2001:db8:20::/48'],
    held: null,
  });
  const { v4, v6 } = host.link.there;
  await client.addPeer(peer(v4));
  await client.addPeer(peer(v6));
  const four = await established(client, v4);
  assert.equal(four.localAddress, host.link.here.v4);
  assert.deepEqual(four.config, peer(v4));
  await established(client, v6);

  for (const prefix of [SERVICE, SERVICE6, '203.0.113.11/32', '2001:db8:11::/48']) {
    await client.addPath({ prefix, communities: [0xffff0000], asPath: [ASN, ASN] });
  }
  const routes = await until('both services arrive', () => {
    const found = new Map([...bird.routes('edge4'), ...bird.routes('edge6')]);
    return found.has(SERVICE) && found.has(SERVICE6) ? found : null;
  });
  assert.deepEqual([...routes.keys()].sort(), [SERVICE6, SERVICE].sort());
  assert.match(routes.get(SERVICE) ?? '', /BGP.as_path: 65001 65001 65001\n/);
  assert.match(routes.get(SERVICE) ?? '', /BGP.next_hop: 10.99.1.1\n/);
  assert.match(routes.get(SERVICE6) ?? '', /BGP.community: \(65535,0\)\n/);
  assert.match(routes.get(SERVICE6) ?? '', /BGP.next_hop: fd99:1::1/);

  await until('what is named enters', async () => {
    const accepted = await client.accepted();
    return accepted.get(v4) === 2 && accepted.get(v6) === 1;
  });
  assert.deepEqual((await client.peers()).map(({ received }) => received).sort(), [2, 3]);
  assert.deepEqual((await client.paths()).map(({ prefix }) => prefix).sort(), [
    '2001:db8:10::10/128',
    '2001:db8:11::/48',
    '203.0.113.10/32',
    '203.0.113.11/32',
  ]);
  const named = await client.paths([SERVICE6, '203.0.113.99/32', SERVICE]);
  assert.deepEqual(named.map(({ prefix }) => prefix).sort(), [SERVICE6, SERVICE].sort());
  assert.deepEqual(await client.paths([]), []);

  const since = bird.session('edge4').since;
  await client.setPolicies({ exportPrefixes: ['203.0.113.11/32'], importPrefixes: [], held: null });
  await until('the other one leaves in its place', () => {
    const found = bird.routes('edge4');
    return found.has('203.0.113.11/32') && !found.has(SERVICE);
  });
  await until('nothing enters any more', async () => (await client.accepted()).size === 0);
  await client.setPolicies({ exportPrefixes: null, importPrefixes: null, held: [v4] });
  await until('a held neighbour is told nothing', () => bird.routes('edge4').size === 0);
  await client.setPolicies({ exportPrefixes: [SERVICE], importPrefixes: null, held: null });
  await client.deletePath('203.0.113.11/32');
  assert.equal(bird.routes('edge4').size, 0);
  await client.setPolicies({ exportPrefixes: null, importPrefixes: null, held: [] });
  await until('and again, once it is released', () => bird.routes('edge4').has(SERVICE));
  await client.deletePath(SERVICE);
  await until('withdrawn', () => bird.routes('edge4').size === 0);
  assert.equal(bird.session('edge4').since, since);
});

test('a watch tells peers and best paths', async (t) => {
  const host = new RouterHost(t, 2);
  const bird = await new Bird(host).start(
    birdBgp('edge4', host, { export: 'all' }) +
      'protocol static nets { ipv4; route 198.51.100.0/24 blackhole; }',
  );
  const client = await started(t);
  await client.setPolicies({ exportPrefixes: [], importPrefixes: ['198.51.100.0/24'], held: null });
  const events: BgpEvent[] = [];
  const watch = client.watch({ peers: true, best: true }, (event) => events.push(event));
  t.after(() => watch.close());
  await until('the beginning', () => events.some(({ kind }) => kind === 'initialDone'));
  const { v4 } = host.link.there;
  await client.addPeer(peer(v4));
  await until('established', () =>
    events.some(
      (event) => event.kind === 'peer' && event.address === v4 && event.state === 'established',
    ),
  );
  await until('the route', () =>
    events.some((event) => event.kind === 'best' && event.paths[0]?.nextHop === v4),
  );
  bird.ask('disable', 'nets');
  await until('the withdrawal', () =>
    events.some((event) => event.kind === 'best' && event.paths.length === 0),
  );
  assert.equal(await client.resetPeer(v4, 'a test'), true);
  await until('down', () =>
    events.some((event) => event.kind === 'peer' && event.address === v4 && event.state === 'idle'),
  );
  assert.equal(await client.resetPeer(v4, 'a test'), false);
  await established(client, v4);
});

test('nobody at the socket, not started, and a nonsense address are told apart', async (t) => {
  const gobgpd = new Gobgpd(t);
  const client = new GobgpClient(gobgpd.socket);
  t.after(() => client.close());
  await assert.rejects(client.global(), { code: 'unreachable' });
  gobgpd.start();
  await until('found', () =>
    client.global().then(
      (found) => found === null,
      () => false,
    ),
  );
  await assert.rejects(client.addPeer(peer('10.0.0.1')), { code: 'notStarted' });
  await assert.rejects(client.setPolicies({ exportPrefixes: [], importPrefixes: [], held: [] }), {
    code: 'notStarted',
  });
  await client.start({ asn: ASN, routerId: '10.99.0.1', listenPort: null });
  await assert.rejects(client.deletePeer('nonsense'), { code: 'refused' });
  await assert.rejects(client.addPath({ prefix: 'nonsense', communities: [], asPath: [] }), {
    code: 'refused',
  });
  assert.deepEqual(await client.global(), { asn: ASN, routerId: '10.99.0.1', listenPort: null });
});

test("a former agent's BMP station goes, another one's on the loopback stays", async (t) => {
  const gobgpd = new Gobgpd(t).start();
  const former = await (await started(t, gobgpd)).watchDowns(() => undefined);
  t.after(() => former.close());
  gobgpd.cli('bmp', 'add', '127.0.0.1:11019');
  const [ours = ''] = stations(gobgpd).filter((station) => !station.startsWith('127.0.0.1:'));
  const fresh = await (await started(t, gobgpd)).watchDowns(() => undefined);
  t.after(() => fresh.close());
  const found = stations(gobgpd);
  assert.equal(found.length, 2, found.join());
  assert.ok(found.includes('127.0.0.1:11019') && !found.includes(ours), found.join());
});

const stations = (gobgpd: Gobgpd): string[] => gobgpd.cli('bmp').match(/127\.[\d.]+:\d+/g) ?? [];

/** Between client and gobgpd: once armed, what the client sends after the next answer waits. */
class Gate {
  readonly socket: string;
  private armed = false;
  private shut = false;
  private readonly waiting: (() => void)[] = [];

  constructor(t: TestContext, target: string) {
    this.socket = join(temporaryDirectory(t), 'gate.sock');
    const server = createServer((client) => {
      const gobgpd = connect(target);
      client.on('data', (chunk) => {
        if (this.shut) this.waiting.push(() => gobgpd.write(chunk));
        else gobgpd.write(chunk);
      });
      gobgpd.on('data', (chunk) => {
        if (this.armed) this.shut = true;
        client.write(chunk);
      });
      for (const [one, other] of [
        [client, gobgpd],
        [gobgpd, client],
      ] as const) {
        one.on('error', () => undefined);
        one.once('close', () => other.destroy());
      }
    });
    server.listen(this.socket);
    t.after(() => server.close());
  }

  arm(): void {
    this.armed = true;
  }

  get holds(): boolean {
    return this.waiting.length > 0;
  }

  open(): void {
    this.armed = false;
    this.shut = false;
    for (const write of this.waiting.splice(0)) write();
  }
}

test('a reset that a reset of the neighbour overtook does not end the next session', async (t) => {
  const host = new RouterHost(t, 4);
  const bird = await new Bird(host).start(birdBgp('edge4', host));
  const gobgpd = new Gobgpd(t).start();
  const client = await started(t, gobgpd);
  const gate = new Gate(t, gobgpd.socket);
  const late = new GobgpClient(gate.socket);
  t.after(() => late.close());
  const { v4 } = host.link.there;
  const states: string[] = [];
  const watch = client.watch({ peers: true, best: false }, (event) => {
    if (event.kind === 'peer') states.push(event.state);
  });
  t.after(() => watch.close());
  await client.setPolicies({ exportPrefixes: [SERVICE], importPrefixes: [], held: null });
  await client.addPeer(peer(v4));
  for (let round = 1; round <= 3; round++) {
    await established(client, v4);
    await late.global();
    states.length = 0;
    gate.arm();
    const reset = late.resetPeer(v4, 'too late');
    await until('it was found established', () => gate.holds);
    bird.ask('restart', '"edge4"');
    await until('the neighbour was first', () => states.includes('idle'));
    gate.open();
    assert.equal(await reset, false);
    await established(client, v4);
    await client.addPath({ prefix: SERVICE, communities: [round], asPath: [] });
    await until('the neighbour has the update', () =>
      bird.routes('edge4').get(SERVICE)?.includes(`(0,${round})`),
    );
    // One session, and it lives.
    assert.deepEqual(states.slice(-2), ['openConfirm', 'established']);
    assert.equal(states.filter((state) => state === 'established').length, 1);
  }
});

test('with the capability of its unit it listens, with passwords and GTSM, and forgets a password', async (t) => {
  const host = new RouterHost(t, 5);
  const guarded = (password: string): string =>
    birdBgp('edge4', host, { extra: `${password} ttl security on; connect retry time 1;` }) +
    birdBgp('edge6', host, { v6: true, extra: 'password "geheim";' });
  const bird = await new Bird(host).start(guarded('password "geheim";'));
  const gobgpd = new Gobgpd(t).start(
    ...['setpriv', '--no-new-privs', '--bounding-set=-all,+net_bind_service', '--inh-caps=-all'],
  );
  const client = await started(t, gobgpd, 179);
  await client.setPolicies({ exportPrefixes: [SERVICE], importPrefixes: [], held: null });
  const { v4, v6 } = host.link.there;
  // Our own dials don't get through: it is the neighbour that comes to us.
  host.exec('nft', 'add table inet t');
  host.exec('nft', 'add chain inet t input { type filter hook input priority 0 ; }');
  host.exec('nft', 'add rule inet t input tcp dport 179 drop');
  await client.addPeer(peer(v4, { password: 'geheim', ttlSecurity: true }));
  await client.addPeer(peer(v6, { password: 'geheim' }));
  await established(client, v4);
  await established(client, v6);
  await client.deletePeer(v4);
  bird.reconfigure(guarded(''));
  await client.addPeer(peer(v4, { ttlSecurity: true }));
  await established(client, v4);
});
