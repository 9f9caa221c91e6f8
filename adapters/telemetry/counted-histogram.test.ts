import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CountedHistogram, type CountedSeries } from './counted-histogram';
import { createRegistry } from './metrics';

test('a histogram counted elsewhere is told as it stands when it is scraped', async () => {
  const registry = createRegistry('test_');
  let series: CountedSeries<'interface'>[] = [];
  const name = 'wait_seconds';
  const said = async (): Promise<string[]> =>
    (await registry.metrics()).split('\n').filter((line) => line.includes(name));
  new CountedHistogram({
    name,
    help: 'From here to there.',
    labelNames: ['interface'],
    registry,
    read: () => series,
  });
  const head = ['# HELP wait_seconds From here to there.', '# TYPE wait_seconds histogram'];
  assert.deepEqual(await said(), head);
  const eth0 = { interface: 'eth0' };
  series = [{ labels: eth0, bounds: [1e-6, 0.5], below: [2, 3], count: 4, sum: 9.5 }];
  assert.deepEqual(await said(), [
    ...head,
    'wait_seconds_bucket{le="0.000001",interface="eth0"} 2',
    'wait_seconds_bucket{le="0.5",interface="eth0"} 3',
    'wait_seconds_bucket{le="+Inf",interface="eth0"} 4',
    'wait_seconds_sum{interface="eth0"} 9.5',
    'wait_seconds_count{interface="eth0"} 4',
  ]);
});
