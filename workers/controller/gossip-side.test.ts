import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import type { Registration } from '../../core/ring/types';
import { until } from '../../adapters/testing/until';
import { GossipSide } from './gossip-side';
import { createControllerMetrics } from './metrics';
import { freePort } from './testing/cluster';
import { exampleController } from './testing/resources';

/** Their sides of the gossip, each looked at as a controller looks; and the threads that they began. */
async function sides(t: TestContext, ids: readonly string[]) {
  const threads: Worker[] = [];
  const began = (worker: Worker): void => void threads.push(worker);
  process.on('worker', began);
  t.after(() => process.off('worker', began));
  const registrations: Registration[] = [];
  for (const id of ids) {
    const gossipAddress = `127.0.0.1:${await freePort()}`;
    registrations.push({ id, ...exampleController({ boot: `${id}-boot`, gossipAddress }) });
  }
  const all = registrations.map(({ id, boot, gossipAddress }) => {
    const log = pino({ level: 'silent' });
    return new GossipSide({
      config: { listen: gossipAddress ?? '', profile: 'lan', keys: null, label: 'test' },
      id,
      boot,
      registrations: () => registrations,
      onChange: () => undefined,
      metrics: createControllerMetrics(),
      log,
    });
  });
  const timer = setInterval(() => all.forEach((side) => side.look()), 100);
  t.after(async () => {
    clearInterval(timer);
    await Promise.all(all.map((side) => side.close()));
  });
  for (const side of all) await side.start();
  return { all, threads };
}

test('a thread of the gossip that ends is begun anew, and is heard by the others again', async (t) => {
  const { all, threads } = await sides(t, ['c1', 'c2']);
  const [first, second] = all;
  assert.ok(first && second);
  const hearsAll = (side: GossipSide): boolean =>
    ['c1', 'c2'].every((id) => side.hints().get(id)?.state === 'alive');
  await until('they hear each other', () => all.every(hearsAll));
  await threads[0]?.terminate();
  await until('it is begun anew', () => threads.length > 2 && hearsAll(first));
  await first.close();
  await until('it has left', () => second.hints().get('c1')?.state === 'left');
});
