/** The agent with the capabilities that its unit leaves it, on a real kernel: enough, and none too many. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import { exampleSpec, TestHost } from './testing/test-host';

const UNIT = join(__dirname, '../../../packaging/systemd/aether-edge.service');

const granted = (/^CapabilityBoundingSet=(.+)$/m.exec(readFileSync(UNIT, 'utf8'))?.[1] ?? '')
  .split(' ')
  .map((name) => name.replace(/^CAP_/, '').toLowerCase());

/** Root with these capabilities and no way to more, as systemd starts the unit. */
const start = (t: TestContext, host: TestHost, capabilities: readonly string[]) =>
  host.startAgent(t, {
    before: [
      'setpriv',
      '--no-new-privs',
      `--bounding-set=${['-all', ...capabilities.map((name) => `+${name}`)].join(',')}`,
    ],
  });

/** One of each kind of object, and latencies counted in the kernel. */
function everything() {
  const spec = exampleSpec(5);
  const filters = spec.filters.map((filter) => ({ ...filter, latency: { oneFlowIn: 1 } }));
  return { ...spec, filters };
}

test('with the capabilities of its unit the agent builds and repairs', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(everything());
  const agent = start(t, host, granted);
  await agent.converged();
  await agent.until('it counts latencies', () =>
    host.exec('ls', '/sys/fs/bpf').includes('aether-latency'),
  );
  const before = (await agent.status()).lastRepair?.incidentId;
  host.exec('ip', 'netns', 'del', 'edge');
  host.exec('rm', '-r', '/sys/fs/bpf/aether');
  const repaired = await agent.until(
    'repaired',
    ({ lastRepair, incident, findings }) =>
      lastRepair?.incidentId !== before && incident === null && findings.length === 0,
  );
  assert.equal(repaired.lastRepair?.outcome, 'converged');
  assert.deepEqual(repaired.problems, []);
  host.exec('ping', '-c1', '-W2', '10.10.1.2');
  await agent.kill();
});

test('each of them is needed', async (t) => {
  assert.ok(granted.length > 0);
  for (const left of granted) {
    const host = await TestHost.create(t);
    await host.accept(everything());
    const others = granted.filter((name) => name !== left);
    const agent = start(t, host, others);
    await waitFor(`EPERM without ${left}`, () => agent.log.includes('EPERM'));
    await agent.kill();
  }
});
