import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Bird, birdBgp, RouterHost } from '../../adapters/gobgp/testing';
import { ip } from '../../adapters/native/test-support';
import { until } from '../../adapters/testing/until';
import { cannotRun, startRouter } from '../../lab/routers';
import { bgpSpec, KeptGobgpd, neighbor, OUR_ASN, PEER_ASN, v4, v6 } from './testing/bgp';

const SERVICE = '203.0.113.10/32';

test('sessions of IPv4 and IPv6, with a password, GTSM and over several hops come up', async (t) => {
  const plain = new RouterHost(t, 1);
  const guarded = new RouterHost(t, 2);
  const far = new RouterHost(t, 3);
  await new Bird(plain).start(
    birdBgp('four', plain, { export: 'all' }) +
      birdBgp('six', plain, { v6: true }) +
      'protocol static { ipv4; route 198.51.100.0/24 blackhole; route 192.0.2.0/24 blackhole; }',
  );
  await new Bird(guarded).start(
    birdBgp('four', guarded, { extra: 'password "geheim"; ttl security on;' }) +
      birdBgp('six', guarded, { v6: true, extra: 'password "geheim"; ttl security on;' }),
  );
  const loopback = '10.98.0.1';
  far.ip('addr', 'add', `${loopback}/32`, 'dev', 'lo');
  ip('route', 'add', loopback, 'via', v4(far));
  await new Bird(far).start(
    `protocol bgp far { local ${loopback} as ${PEER_ASN}; multihop 4;
       neighbor ${far.link.here.v4} as ${OUR_ASN}; ipv4 { import all; export none; }; }`,
  );

  const kept = new KeptGobgpd(t);
  kept.secret('upstream', 'geheim\n');
  const more = { passwordRef: 'upstream', ttlSecurity: true };
  const neighbors = [
    neighbor(v4(plain)),
    neighbor(v6(plain)),
    neighbor(v4(guarded), more),
    neighbor(v6(guarded), more),
    neighbor(loopback, { multihop: 4 }),
  ];
  kept.keeper.set(bgpSpec(neighbors, { importPrefixes: ['198.51.100.0/24'] }), [SERVICE]);
  const views = await Promise.all(neighbors.map(({ address }) => kept.established(address)));
  assert.deepEqual(
    views.map(({ problem, localAddress }) => [problem, localAddress]),
    [
      plain.link.here.v4,
      plain.link.here.v6,
      guarded.link.here.v4,
      guarded.link.here.v6,
      far.link.here.v4,
    ].map((address) => [null, address]),
  );
  await until('the prefix that may enter is counted', () => kept.view(v4(plain))?.accepted === 1);
  assert.equal(kept.keeper.problem(), null);
  assert.deepEqual(kept.events.filter(({ up }) => up).length, neighbors.length);
});

test('FRR takes what is exported and nothing else', { skip: cannotRun('frr') }, async (t) => {
  const host = new RouterHost(t, 1);
  const config = {
    asn: PEER_ASN,
    routerId: '10.99.0.2',
    neighbors: [
      { address: host.link.here.v4, asn: OUR_ASN, password: 'geheim', ttlSecurity: true },
      { address: host.link.here.v6, asn: OUR_ASN },
    ],
    announce: ['198.51.100.0/24', '192.0.2.0/24'],
    kernel: false,
  };
  const frr = await startRouter('frr', config, { netns: host.namespace });
  t.after(() => frr.stop());
  const kept = new KeptGobgpd(t);
  kept.secret('upstream', 'geheim');
  const neighbors = [
    neighbor(v4(host), { passwordRef: 'upstream', ttlSecurity: true }),
    neighbor(v6(host)),
  ];
  kept.keeper.set(bgpSpec(neighbors, { importPrefixes: ['198.51.100.0/24'] }), [SERVICE]);
  for (const { address } of neighbors) await kept.established(address, 30_000);
  for (const prefix of [SERVICE, '203.0.113.11/32']) {
    await kept.client.addPath({ prefix, communities: [], asPath: [] });
  }
  await until('FRR has the service', async () => (await frr.routes(SERVICE)).length === 1);
  await until('one prefix entered', () => kept.view(v4(host))?.accepted === 1);
  assert.deepEqual(await frr.routes('203.0.113.11/32'), []);
  const sessions = await frr.sessions();
  assert.deepEqual(sessions.map(({ received }) => received).sort(), [0, 1]);
});

test('what is wrong with one neighbour is said of it, and the others go on', async (t) => {
  const host = new RouterHost(t, 1);
  const bird = await new Bird(host).start(
    birdBgp('four', host, { extra: 'password "richtig";' }) + birdBgp('six', host, { v6: true }),
  );
  const kept = new KeptGobgpd(t);
  kept.secret('upstream', 'falsch');
  kept.keeper.set(
    bgpSpec([
      neighbor(v4(host), { passwordRef: 'upstream' }),
      neighbor(v6(host)),
      neighbor('10.99.1.77', { passwordRef: 'missing' }),
      neighbor('10.99.1.78', { asn: 1 }),
    ]),
    [],
  );
  await kept.established(v6(host));
  await kept.problem('10.99.1.77', /secret .*\/missing can't be read: ENOENT/);
  await kept.problem('10.99.1.78', /it does not answer/);
  const said = await kept.problem(v4(host), /wrong password/);
  assert.doesNotMatch(said, /falsch/);
  kept.secret('upstream', 'richtig');
  assert.equal((await kept.established(v4(host))).problem, null);

  // Ours is not the AS that it expects, then its is not the one that we expect.
  bird.reconfigure(birdBgp('six', host, { v6: true, asn: 64999 }));
  await kept.problem(v6(host), /refuses our OPEN: it expects another AS number/);
  bird.reconfigure(birdBgp('six', host, { v6: true, localAsn: 64998 }));
  await kept.problem(v6(host), /wrong AS number/);
  bird.reconfigure(birdBgp('six', host, { v6: true }));
  assert.equal((await kept.established(v6(host))).problem, null);
});

test('one that sends too much goes down, is tried again, and comes back once it sends less', async (t) => {
  const host = new RouterHost(t, 1);
  const routes = (count: number): string =>
    Array.from({ length: count }, (_, i) => `route 198.51.${i}.0/24 blackhole;`).join(' ');
  const configuration = (count: number): string =>
    birdBgp('four', host, { export: 'all' }) + `protocol static { ipv4; ${routes(count)} }`;
  const bird = await new Bird(host).start(configuration(20));
  const kept = new KeptGobgpd(t, { prefixLimitRetryMs: { first: 1_000, most: 4_000 } });
  const limited = neighbor(v4(host), { maxPrefixes: 10 });
  kept.keeper.set(bgpSpec([limited], { importPrefixes: ['198.51.0.0/16'] }), []);
  await kept.problem(v4(host), /more than 10 prefixes/);
  const down = await kept.event(({ up }) => !up);
  assert.match(down.reason, /Maximum Number of Prefixes|connection was lost/);
  bird.reconfigure(configuration(5));
  await kept.established(v4(host), 30_000);
  // And where the limit is raised, at once.
  bird.reconfigure(configuration(20));
  await kept.problem(v4(host), /more than 10 prefixes/);
  kept.keeper.set(
    bgpSpec([{ ...limited, maxPrefixes: 50 }], { importPrefixes: ['198.51.0.0/16'] }),
    [],
  );
  await kept.established(v4(host));
  await until('all of them', () => kept.view(v4(host))?.accepted === 20);
});

test('a change of one field resets no session that need not be, and says which it does', async (t) => {
  const host = new RouterHost(t, 1);
  const bird = await new Bird(host).start(
    birdBgp('four', host) + birdBgp('six', host, { v6: true }),
  );
  const kept = new KeptGobgpd(t);
  const [four, six] = [neighbor(v4(host)), neighbor(v6(host))];
  kept.keeper.set(bgpSpec([four, six]), [SERVICE]);
  await kept.established(v4(host));
  await kept.established(v6(host));
  const [since4, since6] = [bird.session('four').since, bird.session('six').since];

  const gentle = { ...four, holdTimeMs: 30_000, maxPrefixes: 7 };
  kept.keeper.set(bgpSpec([six, gentle], { importPrefixes: ['198.51.100.0/24'] }), [
    SERVICE,
    '203.0.113.11/32',
  ]);
  await until('gobgpd has it', async () => {
    const found = (await kept.client.peers()).find(({ config }) => config.address === v4(host));
    return found?.config.holdTimeS === 30 && found.config.maxPrefixes === 7;
  });
  await kept.client.addPath({ prefix: '203.0.113.11/32', communities: [], asPath: [] });
  await until('exported', () => bird.routes('four').has('203.0.113.11/32'));
  const another = kept.another();
  another.set(bgpSpec([six, gentle]), [SERVICE, '203.0.113.11/32']);
  await until('another agent found it as it is', () =>
    another.views().every(({ state }) => state === 'established'),
  );
  another.close();
  assert.equal(bird.session('four').since, since4);
  assert.equal(bird.session('six').since, since6);
  assert.deepEqual(
    kept.events.filter(({ up }) => !up),
    [],
  );

  kept.keeper.set(bgpSpec([gentle, { ...six, asn: 64999 }]), [SERVICE]);
  const down = await kept.event(({ up }) => !up);
  assert.equal(down.address, v6(host));
  assert.equal(down.cause, 'administrative');
  assert.match(down.reason, /AS 65010 becomes 64999/);
  kept.keeper.set(bgpSpec([gentle]), [SERVICE]);
  await until('the other one is gone', async () => (await kept.client.peers()).length === 1);
  assert.equal(bird.session('four').since, since4);
});

test('a neighbour with capabilities that nobody knows is a neighbour', async (t) => {
  const host = new RouterHost(t, 1);
  host.daemon(process.execPath, join(__dirname, 'testing/speaker.js'), v4(host), String(PEER_ASN));
  const kept = new KeptGobgpd(t);
  kept.keeper.set(bgpSpec([neighbor(v4(host))]), [SERVICE]);
  const view = await kept.established(v4(host));
  assert.equal(view.problem, null);
  // It is not only up for a moment.
  const at = performance.now();
  await until('its hold time passes', () => performance.now() - at > 10_000);
  assert.equal(kept.view(v4(host))?.state, 'established');
  assert.deepEqual(
    kept.events.map(({ up }) => up),
    [true],
  );
});
