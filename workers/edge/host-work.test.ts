/** The agent's subscription to its host, over a host in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../adapters/telemetry/logger';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { EMPTY_LEDGER, type HostEvent, type ObserveScope } from '../../core/model/host';
import { MemoryHost } from '../sim/memory-host';
import { HostWork } from './host-work';
import { createEdgeMetrics } from './metrics';
import { Problems } from './problems';
import { emptySpec, exampleSpec } from './testing/test-host';

/** Takes its time with each subscription, and tells which it has. */
class SlowHost extends MemoryHost {
  readonly asked: { namespaces: readonly string[]; end(error: Error | null): void }[] = [];
  readonly watched = new Set<string>();

  override async watch(scope: ObserveScope, onEvent: (event: HostEvent) => void) {
    await new Promise<void>((resolve, reject) => {
      const end = (error: Error | null): void => (error === null ? resolve() : reject(error));
      this.asked.push({ namespaces: scope.namespaces, end });
    });
    const namespaces = scope.namespaces.join();
    const { close } = await super.watch(scope, onEvent);
    this.watched.add(namespaces);
    return {
      close: () => {
        this.watched.delete(namespaces);
        return close();
      },
    };
  }
}

/** Whatever can go on by itself has gone on. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a subscription that failed is tried again for what is wanted by then', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const host = new SlowHost();
  const [log, metrics] = [createLogger('error', {}), createEdgeMetrics()];
  const problems = new Problems(log, metrics);
  const files = { saveLedger: async () => undefined };
  const parts = { host, files, onEvent: () => undefined, problems, log, metrics };
  const work = new HostWork(parts, EMPTY_LEDGER);
  t.after(() => work.close());
  const former: EdgeSpec = emptySpec(5);
  work.watch(former);
  await turn();
  work.watch(exampleSpec(6));
  host.asked[0]?.end(new Error('no memory'));
  await turn();
  host.asked[1]?.end(null);
  await turn();
  t.mock.timers.tick(60_000);
  await turn();
  host.asked[2]?.end(null);
  await turn();
  assert.deepEqual([...host.watched], ['edge']);
  assert.deepEqual(problems.list(), []);
});
