import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Bird, birdBgp, RouterHost } from '../../adapters/gobgp/testing';
import { ip } from '../../adapters/native/test-support';
import { RouteTable } from '../../adapters/native/route-table';
import { createLogger } from '../../adapters/telemetry/logger';
import { until } from '../../adapters/testing/until';
import { BgpRoutes } from './bgp-routes';
import { bgpSpec, KeptGobgpd, neighbor, v4, v6 } from './testing/bgp';

const NETS = ['198.51.100.0/24', '2001:db8:20::/48'];

/** Next hops of our routes to it, with our metric and protocol, as ip shows them. */
function hops(to: string): string[] {
  const family = to.includes(':') ? '-6' : '-4';
  const shown = JSON.parse(ip(family, '-j', 'route', 'show', to, 'proto', '175')) as {
    gateway?: string;
    metric: number;
    nexthops?: { gateway: string }[];
  }[];
  return shown
    .flatMap(({ gateway, nexthops = [] }) => [gateway, ...nexthops.map((hop) => hop.gateway)])
    .filter((hop) => hop !== undefined)
    .sort();
}

const routesOf = (t: TestContext, kept: KeptGobgpd, staleMs?: number): BgpRoutes => {
  const routes = new BgpRoutes({
    port: kept.client,
    open: (onHint) => RouteTable.open(null, onHint),
    log: createLogger(process.env['SHOW'] ? 'debug' : 'error', { node: 'test' }),
    onChange: () => undefined,
    ...(staleMs === undefined ? {} : { staleMs }),
  });
  t.after(() => routes.close());
  return routes;
};

const upstream = (host: RouterHost): string =>
  birdBgp('four', host, { export: 'all' }) +
  birdBgp('six', host, { v6: true, export: 'all' }) +
  `protocol static nets4 { ipv4; route ${NETS[0]} blackhole; }
   protocol static nets6 { ipv6; route ${NETS[1]} blackhole; }`;

test('best paths are routes, over all that are equal; repaired, withdrawn, and not mixed with others', async (t) => {
  const hosts = [new RouterHost(t, 1), new RouterHost(t, 2)] as const;
  const birds = await Promise.all(hosts.map((host) => new Bird(host).start(upstream(host))));
  const kept = new KeptGobgpd(t);
  const neighbors = hosts.flatMap((host) => [neighbor(v4(host)), neighbor(v6(host))]);
  kept.keeper.set(bgpSpec(neighbors, { importPrefixes: NETS }), []);
  ip('route', 'add', 'blackhole', NETS[0] ?? '', 'metric', '500', 'proto', 'static');
  t.after(() => ip('route', 'flush', 'proto', 'static'));
  const routes = routesOf(t, kept);
  routes.set(true);
  for (const { address } of neighbors) await kept.established(address);
  const both = [hosts.map(v4).sort(), hosts.map(v6).sort()] as const;
  const all = (): boolean => NETS.every((net, i) => hops(net).join() === both[i]?.join());
  await until('both upstreams, both families', all);

  ip('route', 'del', NETS[0] ?? '', 'proto', '175');
  ip('-6', 'route', 'flush', 'proto', '175');
  await until('put back', all);

  birds[0]?.ask('disable', 'nets4');
  birds[0]?.ask('disable', 'nets6');
  await until(
    'over the other one',
    () =>
      hops(NETS[0] ?? '').join() === v4(hosts[1]) && hops(NETS[1] ?? '').join() === v6(hosts[1]),
  );
  birds[0]?.ask('enable', 'nets4');
  birds[0]?.ask('enable', 'nets6');
  await until('and back', all);

  // The kernel takes the routes of a link that goes down, of IPv4 without a word.
  ip('link', 'set', hosts[0].link.name, 'down');
  ip('link', 'set', hosts[0].link.name, 'up');
  ip('addr', 'add', `${hosts[0].link.here.v6}/64`, 'dev', hosts[0].link.name, 'nodad');
  await until('after a link was away', all, 30_000);

  assert.equal(routes.problem(), null);
  const table = ip('route', 'show', 'proto', 'static');
  assert.match(table, /blackhole 198\.51\.100\.0\/24 metric 500/);
  routes.set(false);
  await until('none of ours', () => NETS.every((net) => hops(net).length === 0));
  assert.equal(ip('route', 'show', 'proto', 'static'), table);
});

test('a gobgpd that is restarted leaves the routes until it had its time; what it does not tell then goes', async (t) => {
  const host = new RouterHost(t, 3);
  const bird = await new Bird(host).start(upstream(host));
  const kept = new KeptGobgpd(t);
  const neighbors = [neighbor(v4(host)), neighbor(v6(host))];
  kept.keeper.set(bgpSpec(neighbors, { importPrefixes: NETS }), []);
  const routes = routesOf(t, kept, 6_000);
  routes.set(true);
  await until('routes', () => NETS.every((net) => hops(net).length === 1));
  await kept.gobgpd.kill();
  bird.ask('disable', 'nets6');
  kept.gobgpd.start();
  for (const { address } of neighbors) await kept.established(address);
  // It had nothing to tell while its sessions came up.
  assert.deepEqual(
    NETS.map((net) => hops(net).length),
    [1, 1],
  );
  await until('what it does not tell', () => hops(NETS[1] ?? '').length === 0);
  assert.equal(hops(NETS[0] ?? '').length, 1);
});

test("another one's route in the way is said, and left", async (t) => {
  const host = new RouterHost(t, 4);
  await new Bird(host).start(upstream(host));
  const kept = new KeptGobgpd(t);
  const spec = bgpSpec([neighbor(v4(host))], { importPrefixes: NETS, installRoutes: true });
  ip('route', 'add', NETS[0] ?? '', 'via', v4(host), 'metric', '20', 'proto', 'static');
  t.after(() => ip('route', 'flush', 'proto', 'static'));
  const { keeper } = kept;
  keeper.set(spec, []);
  await kept.established(v4(host));
  await until('said', () => /another one's route to 198/.test(keeper.problem() ?? ''));
  assert.deepEqual(hops(NETS[0] ?? ''), []);
  ip('route', 'del', NETS[0] ?? '', 'proto', 'static');
  await until('ours, once it is gone', () => hops(NETS[0] ?? '').length === 1, 15_000);
  await until('no problem', () => keeper.problem() === null);
  keeper.set(null, []);
  await until('all is taken down', () => keeper.problem() === null);
  assert.deepEqual(hops(NETS[0] ?? ''), []);
  assert.deepEqual(await kept.client.peers(), []);
  assert.deepEqual(
    kept.events.map(({ up, cause }) => [up, cause]),
    [
      [true, 'path'],
      [false, 'administrative'],
    ],
  );
});
