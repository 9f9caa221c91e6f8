import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, Histogram } from 'prom-client';
import { createRegistry, denseBuckets, LATENCY_BUCKETS, serveMetrics } from './metrics';

test('eight buckets a doubling, from end to end', () => {
  const buckets = denseBuckets(1, 4);
  assert.equal(buckets.length, 17);
  assert.deepEqual([buckets[0], buckets[8], buckets[16]], [1, 2, 4]);
  for (let i = 1; i < LATENCY_BUCKETS.length; i++) {
    const ratio = (LATENCY_BUCKETS[i] ?? 0) / (LATENCY_BUCKETS[i - 1] ?? 1);
    assert.ok(Math.abs(ratio - 2 ** (1 / 8)) < 1e-4, `bucket ${i}`);
  }
});

test('a scrape is OpenMetrics, with exemplars and its end mark', async (t) => {
  const registry = createRegistry('test_');
  const registers = [registry];
  const seconds = new Histogram({
    name: 'repair_seconds',
    help: 'x',
    buckets: LATENCY_BUCKETS,
    registers,
    enableExemplars: true,
  });
  new Counter({ name: 'repairs_total', help: 'x', registers }).inc();
  seconds.observe({ value: 0.05, exemplarLabels: { incident_id: 'inc-abc' } } as never);
  const server = await serveMetrics('127.0.0.1:0', registry);
  t.after(() => server.close());
  const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
  assert.match(response.headers.get('content-type') ?? '', /openmetrics-text/);
  const text = await response.text();
  assert.match(text, /^repair_seconds_bucket\{le="[\d.]+"\} 1 # \{incident_id="inc-abc"\} 0\.05 /m);
  assert.match(text, /^repairs_total 1$/m);
  assert.match(text, /^test_process_cpu_seconds_total /m);
  assert.ok(text.endsWith('# EOF\n'));
  assert.equal((await fetch(`http://127.0.0.1:${server.port}/`)).status, 404);
});

test('an address that is none is refused in words', async () => {
  const registry = createRegistry('test_');
  await assert.rejects(serveMetrics('localhost', registry), /is not HOST:PORT/);
});
