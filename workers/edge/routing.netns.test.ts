/** Announcing with real gobgpd, bfd process and BIRD, and no controller: what a router sees of an edge. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GRACEFUL_SHUTDOWN } from '../../core/model/anycast';
import { cannotRun, type RouterRoute } from '../../lab/routers';
import { ADDRESS, OWN_ASN, routedSpec, RoutingHost, webService } from './testing/routing-host';

const skip = cannotRun('bird') || cannotRun('gobgpd');
/** The issue: a lost proof takes effect within this. */
const WITHIN_MS = 1_000;
/** On a busy host what has no bound of its own may take its time. */
const PATIENCE_MS = 60_000;
const GRACE = { AETHER_LEASE_GRACE: '8s' };

const announced = (route: RouterRoute | null): boolean =>
  route?.asPath.join() === `${OWN_ASN}` && route.communities.join() === '65000:100';
const withdrawn = (route: RouterRoute | null): boolean => route === null;
const depreferred = (route: RouterRoute | null): boolean =>
  route?.asPath.join() === Array(4).fill(OWN_ASN).join() &&
  route.communities.includes(`${GRACEFUL_SHUTDOWN >>> 16}:${GRACEFUL_SHUTDOWN & 0xffff}`);

/** Each breaks one proof; what mends it, where the agent does not. */
const FAULTS: { what: string; break: string[]; why: RegExp }[] = [
  { what: 'namespace deleted', break: ['ip netns del edge'], why: /namespace edge does not exist/ },
  { what: 'link deleted', break: ['ip link del edge0'], why: /is not whole/ },
  { what: 'link down', break: ['ip link set edge0 down'], why: /link edge0 is down/ },
  { what: 'peer down', break: ['ip -n edge link set eth0 down'], why: /link edge\/eth0 is down/ },
  {
    what: 'address removed',
    break: [`ip -n edge address del ${ADDRESS}/32 dev lo`],
    why: /is not on lo/,
  },
  { what: 'route removed', break: [`ip route del ${ADDRESS}/32`], why: /no route to/ },
  { what: 'filter detached', break: ['rm -r /sys/fs/bpf/aether'], why: /uplink0 is not attached/ },
];

for (const permit of [true, false]) {
  const lost = permit ? withdrawn : depreferred;
  const stance = permit ? 'withdraw' : 'deprefer';
  test(`each proof that breaks: ${stance}, mended: announced again`, { skip }, async (t) => {
    const edge = await RoutingHost.create(t);
    await edge.startGobgpd();
    await edge.startBfd();
    await edge.host.accept(routedSpec(5, [webService({ permit })]));
    const agent = edge.startAgent();
    await agent.converged(PATIENCE_MS);
    // Nobody answers yet: who was never proven attracts nobody, permit or not.
    await agent.until('the session is up', ({ routing }) => isUp(routing));
    assert.equal(await edge.seen(), null);
    await edge.startServer();
    await edge.until('announced', announced);
    using client = edge.client();

    for (const fault of FAULTS) {
      await t.test(fault.what, async () => {
        // Nobody mends it before it was seen.
        await client.freeze(0, 'a test');
        for (const line of fault.break) edge.exec(line);
        const tookMs = await edge.until(stance, lost);
        assert.ok(tookMs < WITHIN_MS, `${stance} after ${tookMs.toFixed(0)} ms`);
        await agent.until(
          'told, with its reason',
          ({ routing }) => stanceOf(routing) === stance && fault.why.test(whyOf(routing)),
        );
        await client.unfreeze();
        if (fault.what === 'namespace deleted') {
          await edge.killServer();
          await agent.converged(PATIENCE_MS);
          await edge.startServer();
        }
        await edge.until('announced again', announced);
      });
    }

    await t.test('service ended', async () => {
      await edge.killServer();
      const tookMs = await edge.until(stance, lost);
      assert.ok(tookMs < WITHIN_MS, `${stance} after ${tookMs.toFixed(0)} ms`);
      await edge.startServer();
      await edge.until('announced again', announced);
    });
  });
}

type Routing = Awaited<ReturnType<ReturnType<RoutingHost['startAgent']>['status']>>['routing'];
const isUp = (routing: Routing): boolean => routing?.neighbors[0]?.state === 'established';
const whyOf = (routing: Routing): string => routing?.services[0]?.why.join('; ') ?? '';
/** By an agent that is heard by the bfd process. */
const isLeased = (routing: Routing): boolean =>
  stanceOf(routing) === 'announce' && routing?.bfd.problem === null;
const stanceOf = (routing: Routing): string | undefined => routing?.services[0]?.stance;

test(
  'an agent that is gone changes nothing within the grace time, and then as it said',
  { skip },
  async (t) => {
    const edge = await RoutingHost.create(t);
    await edge.startGobgpd();
    await edge.startBfd();
    await edge.host.accept(routedSpec(5, [webService({ permit: false })]));
    const first = edge.startAgent(GRACE);
    await first.converged(PATIENCE_MS);
    await edge.startServer();
    await edge.until('announced', announced);

    const before = edge.heard();
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const agent = signal === 'SIGTERM' ? first : edge.startAgent(GRACE);
      await agent.until('it leases', ({ routing }) => isLeased(routing));
      agent.child.kill(signal);
      await agent.exited;
    }
    const third = edge.startAgent(GRACE);
    const status = await third.until('it leases', ({ routing }) => isLeased(routing));
    assert.equal(edge.heard(), before, 'the router heard nothing of three agents');
    assert.equal(status.routing?.neighbors[0]?.bfd?.downs, 0);

    await third.kill();
    const tookMs = await edge.until('as on expiry', depreferred);
    assert.ok(tookMs > 7_000 && tookMs < 11_000, `after ${tookMs.toFixed(0)} ms, the grace is 8 s`);
    edge.startAgent(GRACE);
    await edge.until('announced again', announced);
  },
);

test(
  'gobgpd killed and back, bfd killed and back: told, and announced again',
  { skip },
  async (t) => {
    const edge = await RoutingHost.create(t);
    const gobgpd = await edge.startGobgpd();
    const bfd = await edge.startBfd();
    await edge.host.accept(routedSpec(5, [webService()]));
    const agent = edge.startAgent();
    await agent.converged(PATIENCE_MS);
    await edge.startServer();
    await edge.until('announced', announced);

    const before = edge.heard();
    await edge.kill(bfd);
    await agent.until('told', ({ routing }) => routing?.bfd.problem !== null);
    await edge.startBfd();
    await agent.until('attached again', ({ routing }) => routing?.bfd.problem === null);
    assert.equal(edge.heard(), before, 'the router heard nothing of it');

    await edge.kill(gobgpd);
    await edge.until('gone with gobgpd', withdrawn);
    await agent.until('told', ({ routing }) => routing?.gobgpd.problem !== null);
    await edge.startGobgpd();
    await edge.until('announced again', announced, 30_000);
    await agent.until('no problem is left', ({ routing }) => routing?.gobgpd.problem === null);
  },
);

test(
  'by hand: drain, withdraw and undrain without anybody, over a restart, with an end',
  { skip },
  async (t) => {
    const edge = await RoutingHost.create(t);
    await edge.startGobgpd();
    await edge.startBfd();
    await edge.host.accept(routedSpec(5, [webService()]));
    const agent = edge.startAgent();
    await agent.converged(PATIENCE_MS);
    await edge.startServer();
    await edge.until('announced', announced);
    using client = edge.client();
    const asked = { service: 'web', reason: 'cable work', forMs: 0 };

    const drained = await client.stand({ ...asked, stance: 'deprefer' });
    assert.equal(drained.effective, true, drained.note);
    assert.match(drained.routing.services[0]?.why.join() ?? '', /by hand on this edge: cable work/);
    await edge.until('depreferred', depreferred);
    agent.child.kill('SIGTERM');
    await agent.exited;
    const again = edge.startAgent();
    await again.until('it knows', ({ routing }) => stanceOf(routing) === 'deprefer');
    assert.ok(depreferred(await edge.seen()));

    await client.stand({ ...asked, service: '', stance: 'withdraw', forMs: 3_000 });
    await edge.until('withdrawn', withdrawn);
    await edge.until('it ends by time, the former goes on', depreferred);
    await client.stand({ ...asked, stance: 'announce', reason: '' });
    await edge.until('announced', announced);
    await assert.rejects(client.stand({ ...asked, service: 'mail', stance: 'withdraw' }), {
      code: 3,
      details: 'this edge serves no "mail"; its services: web',
    });
  },
);

test(
  'what it says of itself: status, CLI, metrics; and a spec that asks for no more leaves nothing',
  { skip },
  async (t) => {
    const edge = await RoutingHost.create(t);
    await edge.startGobgpd();
    const bfd = await edge.startBfd();
    await edge.host.accept(routedSpec(5, [webService()]));
    const agent = edge.startAgent();
    await agent.converged(PATIENCE_MS);
    await edge.startServer();
    await edge.until('announced', announced);
    const status = await agent.until(
      'BFD is up, and from where',
      ({ routing: now }) => bfdOf(now) === 'up' && now?.neighbors[0]?.localAddress === '192.0.2.2',
    );
    const { routing } = status;
    assert.deepEqual(routing?.services[0]?.why, []);
    assert.equal(routing.services[0]?.announced, true);

    const socket = ['--socket', edge.host.socket];
    assert.match(
      edge.cli('services', ...socket),
      /^web +203\.0\.113\.10\/32 +announce +yes +held/m,
    );
    assert.match(edge.cli('bgp', ...socket), /^192\.0\.2\.1 +64501 +established/m);
    assert.match(edge.cli('bfd', '--socket', edge.bfdSocket), /^192\.0\.2\.1 +up \(peer up\)/m);
    const told = JSON.parse(edge.cli('drain', 'web', '--for', '1h', '--json', ...socket)) as {
      effective: boolean;
    };
    assert.equal(told.effective, true);
    await edge.until('depreferred', depreferred);
    edge.cli('undrain', ...socket);
    await edge.until('announced', announced);

    const metrics = edge.exec('curl -s http://127.0.0.1:9701/metrics');
    for (const line of [
      'aether_service_announced{service="web"} 1',
      'aether_service_stance{service="web"} 0',
      'aether_bgp_session_up{peer="192.0.2.1"} 1',
      'aether_bfd_session_up{peer="192.0.2.1"} 1',
    ]) {
      assert.ok(metrics.includes(line), line);
    }
    assert.match(metrics, /^aether_lease_age_seconds 0\.\d+/m);
    assert.match(metrics, /^aether_probe_seconds_count\{service="web",outcome="ok"\} \d+/m);

    bfd.kill('SIGSTOP');
    await agent.until('hung is told', ({ routing: now }) => now?.bfd.problem !== null);
    bfd.kill('SIGCONT');
    await agent.until('heard again', ({ routing: now }) => now?.bfd.problem === null);
    await edge.until('announced', announced);

    agent.child.kill('SIGTERM');
    await agent.exited;
    await edge.host.accept({ ...routedSpec(6, []), bgp: null });
    const last = edge.startAgent();
    await edge.until('withdrawn', withdrawn);
    await last.until(
      'nothing is left to say',
      (now) => now.accepted !== null && now.routing === undefined,
    );
    const report = await edge.report();
    assert.deepEqual([report.paths, report.sessions], [[], []]);
  },
);

const bfdOf = (routing: Routing): string | undefined => routing?.neighbors[0]?.bfd?.state;
