/** The agent as a process on a real kernel, with neither controller nor Temporal: it guards alone. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { exampleSpec, TestHost } from './testing';

test('builds its host from the spec on its disk, before any connection exists', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(exampleSpec(5));
  const agent = host.startAgent(t);
  const status = await agent.converged();
  assert.equal(status.controller.connected, false);
  assert.equal(status.temporal.connected, false);
  assert.deepEqual(status.problems, []);
  host.exec('ping', '-c1', '-W2', '10.10.1.2');
  host.exec('ip', 'netns', 'exec', 'edge', 'ping', '-c1', '-W2', 'fd10:1::1');
  assert.match(host.exec('ip', '-n', 'edge', 'route'), /^default via 10\.10\.1\.1/m);
  assert.match(host.exec('ip', 'link', 'show', 'uplink0'), /xdp/);
  assert.equal(statSync(host.socket).mode & 0o777, 0o600);
});
