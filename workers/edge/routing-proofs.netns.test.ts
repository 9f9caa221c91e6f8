/** Proofs that break, with real gobgpd, bfd process and BIRD, and no controller: what a router sees. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import { cannotRun } from '../../lab/routers';
import {
  ADDRESS,
  announced,
  depreferred,
  isUp,
  PATIENCE_MS,
  routedSpec,
  RoutingHost,
  stanceOf,
  webService,
  whyOf,
  withdrawn,
} from './testing/routing-host';

const skip = cannotRun('bird') || cannotRun('gobgpd');
/** The issue: a lost proof takes effect within this. */
const WITHIN_MS = 1_000;

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
        const event = `announce → ${stance} (path)`;
        await waitFor('on record', async () => (await edge.stances()).at(-1) === event);
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
