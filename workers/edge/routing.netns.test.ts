/** Restarts, stances by hand and what an edge says of itself, with real gobgpd, bfd process and BIRD. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import { cannotRun } from '../../lab/routers';
import {
  announced,
  bfdOf,
  depreferred,
  isLeased,
  PATIENCE_MS,
  routedSpec,
  RoutingHost,
  stanceOf,
  webService,
  withdrawn,
} from './testing/routing-host';

const skip = cannotRun('bird') || cannotRun('gobgpd');
const GRACE = { AETHER_LEASE_GRACE: '8s' };

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
      await waitFor('it is written down', async () => (await edge.memory())?.running);
      agent.child.kill(signal);
      await agent.exited;
    }
    const third = edge.startAgent(GRACE);
    const status = await third.until('it leases', ({ routing }) => isLeased(routing));
    assert.equal(edge.heard(), before, 'the router heard nothing of three agents');
    assert.equal(status.routing?.neighbors[0]?.bfd?.downs, 0);

    // One was told to stop, one was not; both sessions came up once.
    const kinds = (): Promise<string[]> =>
      edge.kept().then((events) => events.map(({ kind }) => kind).sort());
    await waitFor('events are kept', async () => (await kinds()).includes('agentCrash'));
    assert.deepEqual(await kinds(), ['agentCrash', 'bfdUp', 'bgpUp', 'stance']);

    // The grace counts from its last sign of life, and an agent that starts is busy: one that answers gave one just now.
    await third.until('it leases', ({ routing }) => isLeased(routing));
    const killedAtMs = performance.now();
    await third.kill();
    await edge.until('as on expiry', depreferred);
    const tookMs = performance.now() - killedAtMs;
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
    assert.deepEqual(await edge.stances(), [
      'withdraw → announce (path)',
      'announce → deprefer (administrative)',
    ]);
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
      ({ routing: now }) =>
        bfdOf(now) === 'up' &&
        now?.neighbors[0]?.localAddress === '192.0.2.2' &&
        now.services[0]?.announced === true,
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
    assert.match(
      edge.cli('bfd', '--socket', edge.bfdSocket),
      /^192\.0\.2\.1 +single +up \(peer up\)/m,
    );
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
