import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { GobgpClient } from '../../adapters/gobgp/client';
import { Bird, birdBgp, Gobgpd, RouterHost } from '../../adapters/gobgp/testing';
import { until } from '../../adapters/testing/until';
import { bgpSpec, KeptGobgpd, neighbor, v4, v6 } from './testing/bgp';

const SERVICE = '203.0.113.10/32';

test('a gobgpd that was killed is configured anew when it returns', async (t) => {
  const host = new RouterHost(t, 1);
  const bird = await new Bird(host).start(
    birdBgp('four', host, { export: 'all' }) +
      'protocol static { ipv4; route 198.51.100.0/24 blackhole; }',
  );
  const kept = new KeptGobgpd(t);
  kept.keeper.set(bgpSpec([neighbor(v4(host))]), [SERVICE]);
  await kept.established(v4(host));
  await kept.gobgpd.kill();
  const down = await kept.event(({ up }) => !up);
  assert.equal(down.reason, 'gobgpd ended');
  await until('it is said', () => /gobgpd/.test(kept.keeper.problem() ?? ''));
  assert.equal(kept.view(v4(host))?.state, 'unknown');

  kept.gobgpd.start();
  const other = new GobgpClient(kept.gobgpd.socket);
  t.after(() => other.close());
  await until('it answers', () =>
    other.global().then(
      () => true,
      () => false,
    ),
  );
  await until('it has its neighbour', async () =>
    (await other.peers().catch(() => [])).some(({ config }) => config.address === v4(host)),
  );
  await kept.established(v4(host));
  await until('no problem', () => kept.keeper.problem() === null);
  // Nothing was open for a moment: what nobody asked for is neither here nor there.
  await other.addPath({ prefix: '203.0.113.99/32', communities: [], asPath: [] });
  await other.addPath({ prefix: SERVICE, communities: [], asPath: [] });
  await until('the service', () => bird.routes('four').has(SERVICE));
  assert.deepEqual([...bird.routes('four').keys()], [SERVICE]);
  assert.equal((await other.accepted()).size, 0);
});

test('a gobgpd that hangs is said to, and found again; one without a socket as well', async (t) => {
  const host = new RouterHost(t, 1);
  await new Bird(host).start(birdBgp('four', host));
  const kept = new KeptGobgpd(t);
  kept.keeper.set(bgpSpec([neighbor(v4(host))]), [SERVICE]);
  await kept.established(v4(host));
  kept.gobgpd.signal('SIGSTOP');
  t.after(() => kept.gobgpd.signal('SIGCONT'));
  await until('it is said', () => /does not answer/.test(kept.keeper.problem() ?? ''));
  await until(
    'nothing is known of its sessions',
    () => kept.view(v4(host))?.state === 'unknown',
    20_000,
  );
  kept.gobgpd.signal('SIGCONT');
  await until('no problem', () => kept.keeper.problem() === null);
  await kept.established(v4(host));

  await kept.gobgpd.kill();
  await until('it is gone', () => /gobgpd/.test(kept.keeper.problem() ?? ''));
  kept.gobgpd.start();
  await kept.established(v4(host));
});

test("another one's gobgpd is left untouched; our own goes on until it is restarted", async (t) => {
  const host = new RouterHost(t, 1);
  await new Bird(host).start(birdBgp('four', host));
  const kept = new KeptGobgpd(t);
  await until('gobgpd answers', () =>
    kept.client.global().then(
      () => true,
      () => false,
    ),
  );
  await kept.client.start({ asn: 64512, routerId: '192.0.2.1', listenPort: null });
  kept.keeper.set(bgpSpec([neighbor(v4(host))]), [SERVICE]);
  await until('waits for its restart', () =>
    /until it is restarted.*drain/.test(kept.keeper.problem() ?? ''),
  );

  const foreign = new Gobgpd(t).start();
  const client = new GobgpClient(foreign.socket);
  t.after(() => client.close());
  await until('gobgpd answers', () =>
    client.global().then(
      () => true,
      () => false,
    ),
  );
  foreign.cli('global', 'as', '64512', 'router-id', '192.0.2.1', 'listen-port', '1791');
  const keeper = kept.another({ port: client });
  t.after(() => keeper.close());
  keeper.set(bgpSpec([neighbor(v4(host))]), [SERVICE]);
  await until('it is said', () => /another one's gobgpd/.test(keeper.problem() ?? ''));
  assert.deepEqual(await client.peers(), []);
  assert.equal(await client.isOurs(), false);
});

test("one that runs just as ours would, but has another one's neighbour, is left untouched too", async (t) => {
  const foreign = new Gobgpd(t).start();
  const client = new GobgpClient(foreign.socket);
  t.after(() => client.close());
  await until('gobgpd answers', () =>
    client.global().then(
      () => true,
      () => false,
    ),
  );
  const spec = bgpSpec([], { listenPort: 1792 });
  foreign.cli('global', 'as', `${spec.asn}`, 'router-id', spec.routerId, 'listen-port', '1792');
  foreign.cli('neighbor', 'add', '192.0.2.77', 'as', '65001');
  const keeper = new KeptGobgpd(t).another({ port: client });
  t.after(() => keeper.close());
  keeper.set(spec, [SERVICE]);
  await until('it is said', () => /another one's gobgpd/.test(keeper.problem() ?? ''));
  assert.equal((await client.peers()).length, 1);
  assert.equal(await client.isOurs(), false);
  foreign.cli('neighbor', 'del', '192.0.2.77');
  await until('taken over', () => keeper.problem() === null);
  assert.equal(await client.isOurs(), true);
});

test('no BGP any more: what was set up is taken down', async (t) => {
  const host = new RouterHost(t, 1);
  const bird = await new Bird(host).start(birdBgp('four', host));
  const kept = new KeptGobgpd(t);
  kept.keeper.set(bgpSpec([neighbor(v4(host))]), [SERVICE]);
  await kept.established(v4(host));
  kept.keeper.set(null, []);
  await until('no neighbour', async () => (await kept.client.peers()).length === 0);
  await until(
    'BIRD sees it go',
    () => bird.session('four').state !== 'up' || !/Established/.test(bird.session('four').info),
  );
  await until('nothing is left', () => kept.keeper.problem() === null);
  assert.deepEqual(kept.keeper.views(), []);
});

test('a port that is taken is said, and listened at once it is free', async (t) => {
  const squatter = createServer().listen(1790, '0.0.0.0');
  await once(squatter, 'listening');
  const kept = new KeptGobgpd(t);
  kept.keeper.set(bgpSpec([], { listenPort: 1790 }), []);
  await until('it is said', () => /address already in use/.test(kept.keeper.problem() ?? ''));
  squatter.close();
  await until('it listens', () => kept.keeper.problem() === null);
});

test('why a session went is told with its weight', async (t) => {
  const host = new RouterHost(t, 1);
  const bird = await new Bird(host).start(
    birdBgp('four', host) + birdBgp('six', host, { v6: true }),
  );
  const kept = new KeptGobgpd(t);
  kept.keeper.set(bgpSpec([neighbor(v4(host)), neighbor(v6(host))]), []);
  await kept.established(v4(host));
  await kept.established(v6(host));

  bird.ask('restart', '"four"');
  const administrative = await kept.event(({ up }) => !up);
  assert.match(administrative.reason, /^peer says: Cease\/Administrative Reset/);
  assert.equal(administrative.cause, 'administrative');

  let from = kept.events.length;
  await kept.established(v4(host));
  assert.equal(await kept.client.resetPeer(v4(host), 'BFD is down'), true);
  const ours = await kept.event(({ up }) => !up, from);
  assert.equal(ours.reason, 'we say: Cease/Administrative Reset: "BFD is down"');
  assert.equal(ours.cause, 'consequence');

  from = kept.events.length;
  host.ip('link', 'set', 'eth0', 'down');
  const silent = await until(
    'the hold time ends',
    () => kept.events.slice(from).find(({ up, address }) => !up && address === v6(host)),
    30_000,
  );
  assert.match(silent.reason, /^we say: Hold Timer Expired|connection was lost/);
  assert.equal(silent.cause, 'path');
});

test('an upstream that resets 20 times in a row has the session back within 6 s each time', async (t) => {
  const host = new RouterHost(t, 1);
  const bird = await new Bird(host).start(birdBgp('four', host));
  const kept = new KeptGobgpd(t);
  kept.keeper.set(bgpSpec([neighbor(v4(host))]), [SERVICE]);
  await kept.established(v4(host));
  await kept.client.addPath({ prefix: SERVICE, communities: [], asPath: [] });
  const tookMs: number[] = [];
  for (let round = 0; round < 20; round++) {
    await until('the service', () => bird.routes('four').has(SERVICE));
    const startMs = performance.now();
    bird.ask('restart', '"four"');
    await until('it went', () => !bird.routes('four').has(SERVICE));
    await until('the service again', () => bird.routes('four').has(SERVICE));
    tookMs.push(Math.round(performance.now() - startMs));
  }
  t.diagnostic(`back after ${tookMs.join(', ')} ms`);
  assert.ok(Math.max(...tookMs) < 6_000, tookMs.join(', '));
});

test('what somebody changes by hand is put back, and no session goes for it', async (t) => {
  const host = new RouterHost(t, 8);
  const bird = await new Bird(host).start(
    birdBgp('four', host) + birdBgp('six', host, { v6: true }),
  );
  const kept = new KeptGobgpd(t);
  kept.keeper.set(bgpSpec([neighbor(v4(host)), neighbor(v6(host))]), [SERVICE]);
  await kept.established(v4(host));
  await kept.established(v6(host));
  const { since } = bird.session('four');
  const { gobgpd, client } = kept;
  gobgpd.cli('global', 'policy', 'export', 'del', 'aether-export');
  gobgpd.cli('global', 'policy', 'import', 'set', 'aether-import', 'default', 'accept');
  gobgpd.cli('policy', 'prefix', 'del', 'aether-export-4', SERVICE, '32..32');
  gobgpd.cli('neighbor', 'del', v6(host));
  gobgpd.cli('neighbor', 'add', '10.99.8.99', 'as', '64999');
  await until('the policies are', async () => await client.isOurs());
  await until('the neighbours are', async () => {
    const peers = (await client.peers()).map(({ config }) => config.address).sort();
    return peers.join() === [v4(host), v6(host)].join();
  });
  for (const prefix of [SERVICE, '203.0.113.66/32']) {
    await client.addPath({ prefix, communities: [], asPath: [] });
  }
  await until('the service', () => bird.routes('four').has(SERVICE));
  assert.deepEqual([...bird.routes('four').keys()], [SERVICE]);
  assert.equal(bird.session('four').since, since);
  await kept.established(v6(host));
});
