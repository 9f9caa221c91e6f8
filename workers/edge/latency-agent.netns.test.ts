/** Latencies of a real agent: from its spec, over its death, until the spec asks no more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { exampleSpec, TestHost } from './testing/test-host';

const NEIGHBOUR = `
ip netns add router && ip link set router0 netns router
ip addr add 192.0.2.1/24 dev uplink0
ip -n router link set router0 up
ip -n router addr add 192.0.2.9/24 dev router0
ip -n router route add 10.10.1.0/30 via 192.0.2.1
echo 1 > /proc/sys/net/ipv4/ip_forward`;
/** Three agents begin here, one after another, each with a whole repair. */
const DEADLINE_MS = 30_000;
const SERVICE = '10.10.1.2';
const SCRAPE =
  "fetch('http://127.0.0.1:9701/metrics').then(r=>r.text()).then(t=>console.log(t),()=>0)";

function timed(revision: number): EdgeSpec {
  const spec = exampleSpec(revision);
  return { ...spec, filters: spec.filters.map((one) => ({ ...one, latency: { oneFlowIn: 1 } })) };
}

/** Forwarded packets that were timed; NaN where that is not told. */
function forwarded(host: TestHost): number {
  const text = host.exec(process.execPath, '-e', SCRAPE);
  const count = /^aether_packet_forward_seconds_count\{interface="uplink0"\} (\d+)$/m.exec(text);
  return Number(count?.[1] ?? NaN);
}

/** What there is in the bpf file system, its own files included. */
const pinsOf = (host: TestHost): string => host.exec('ls', '/sys/fs/bpf');

const ping = (host: TestHost, times: number): string =>
  host.exec('ip', 'netns', 'exec', 'router', 'ping', `-c${times}`, '-i0.05', '-W5', SERVICE);

test('an agent has forwarded packets timed as its spec says', { timeout: 120_000 }, async (t) => {
  const host = await TestHost.create(t);
  host.exec('sh', '-ec', NEIGHBOUR);
  await host.accept(timed(1));
  const first = host.startAgent(t);
  const status = await first.converged(DEADLINE_MS);
  assert.deepEqual(
    status.problems.filter((problem) => problem.includes('latenc')),
    [],
  );
  // A link that was just made is timed from the tracker's next look on.
  await waitFor('packets that are timed', () => {
    ping(host, 1);
    return forwarded(host) > 0;
  });
  const before = forwarded(host);
  assert.match(pinsOf(host), /aether-latency/);
  ping(host, 5);
  await waitFor('what was forwarded', () => forwarded(host) === before + 5);

  await first.kill();
  ping(host, 5);
  const second = host.startAgent(t);
  await second.converged(DEADLINE_MS);
  await waitFor('what was forwarded meanwhile', () => forwarded(host) === before + 10);

  await second.kill();
  await host.accept(exampleSpec(2));
  await host.startAgent(t).converged(DEADLINE_MS);
  await waitFor('nothing of it is left', () => !pinsOf(host).includes('aether-latency'));
  assert.ok(Number.isNaN(forwarded(host)));
});
