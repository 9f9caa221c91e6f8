/** What Prometheus gets to see of an edge whose spec asks for latencies, on a real kernel. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test, type TestContext } from 'node:test';
import { FilterEngine } from '../../adapters/native/filter/engine';
import { uniqueName, waitFor } from '../../adapters/native/test-support';
import { Forwarding } from '../../adapters/native/testing/forwarding';
import { createRegistry } from '../../adapters/telemetry/metrics';
import { contentsOf } from '../../core/filter/contents';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { DEFAULT_REPAIR, NO_ROUTING, plainFilter } from '../../core/model/node';
import { trackLatency } from './latency';

const PINS = '/sys/fs/bpf/aether-latency';

let filters: FilterEngine;
before(async () => {
  filters = await FilterEngine.open();
});
after(() => filters.close());

function specOf({ near, far, target }: Forwarding, oneFlowIn: number | null): EdgeSpec {
  const latency = oneFlowIn === null ? null : { oneFlowIn };
  const link = { name: far, peer: 'eth0', mtu: 1500, hostAddresses: [], addresses: [] };
  return {
    schema: 1,
    node: 'edge-1',
    revision: 1,
    phase: 'active',
    namespaces: [{ name: target, links: [link], routes: [], sysctls: {} }],
    filters: [{ ...plainFilter(near), latency }],
    blocklists: [],
    blocks: [],
    ...NO_ROUTING,
    services: [],
    repair: DEFAULT_REPAIR,
    frozen: { node: false, global: false },
  };
}

async function edge(t: TestContext) {
  const net = await Forwarding.up(filters, uniqueName('w'));
  const registry = createRegistry('test_');
  const problems = new Map<string, string>();
  const now: { spec: EdgeSpec | null } = { spec: null };
  const latency = trackLatency(() => now.spec, registry, {
    set: (key, message) => void problems.set(key, message),
    clear: (key) => void problems.delete(key),
  });
  t.after(async () => {
    now.spec = specOf(net, null);
    await waitFor('the tracker has gone', () => !existsSync(PINS));
    await latency.stop();
    await net.down();
  });
  const scrape = async (): Promise<string[]> => (await registry.metrics()).split('\n');
  return { net, now, problems, scrape };
}

/** The value of a series. */
const valueOf = (lines: readonly string[], series: string): number =>
  Number(lines.find((line) => line.startsWith(`${series} `))?.slice(series.length + 1) ?? NaN);

test('latencies are told while the spec asks for them', { timeout: 60_000 }, async (t) => {
  const { net, now, problems, scrape } = await edge(t);
  const label = `{interface="${net.near}"}`;
  const forwarded = async () =>
    valueOf(await scrape(), `aether_packet_forward_seconds_count${label}`);

  now.spec = specOf(net, 1);
  const [outcome] = await filters.setFilters(contentsOf(now.spec, [], [], 0));
  assert.equal(outcome?.error, null);
  await waitFor('the tracker', async () => (await forwarded()) === 0);
  await net.sendUdp(50, 2);
  await net.converse(2, 10, 1_000);
  await waitFor('all UDP packets and two SYNs', async () => (await forwarded()) === 102);
  const lines = await scrape();
  assert.equal(valueOf(lines, 'aether_tcp_delivery_seconds_count'), 20);
  assert.ok(valueOf(lines, `aether_filter_run_seconds_count${label}`) > 0);
  assert.ok(valueOf(lines, `aether_packet_forward_seconds_sum${label}`) > 0);
  assert.equal(problems.size, 0);

  for (const name of ['packet_forward', 'tcp_delivery', 'filter_run']) {
    const buckets = lines.filter((line) => line.startsWith(`aether_${name}_seconds_bucket`));
    const counts = buckets.map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
    assert.deepEqual(
      counts,
      [...counts].sort((a, b) => a - b),
      `${name} falls`,
    );
    assert.ok(buckets.length <= 700, `${name}: ${buckets.length} series`);
  }

  now.spec = specOf(net, null);
  await waitFor('no series', async () => Number.isNaN(await forwarded()));
  await waitFor('no pins', () => !existsSync(PINS));
});

test('what this kernel refuses is a problem that says so', async (t) => {
  const { net, now, problems } = await edge(t);
  // A name that no interface can have: the kernel refuses to look it up.
  const spec = specOf(net, 1);
  now.spec = { ...spec, filters: [{ ...plainFilter('x'.repeat(16)), latency: { oneFlowIn: 1 } }] };
  const said = await waitFor('the problem', () => problems.get('latency'));
  assert.match(said, /^latencies are not/);
  now.spec = spec;
  await waitFor('its end', () => problems.size === 0);
});
