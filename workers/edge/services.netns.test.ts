/** What a service needs on its host, kept by a real agent on its own: made, repaired, taken away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { exampleEdgeService } from '../../core/model/testing';
import { exampleSpec, TestHost } from './testing/test-host';

const ADDRESSES = ['203.0.113.10', '2001:db8:a::10'];

const serving = (revision: number, addresses: string[]): EdgeSpec => ({
  ...exampleSpec(revision),
  services: addresses.length === 0 ? [] : [exampleEdgeService('web', addresses)],
});

test('an agent without a controller keeps the addresses of services in reach', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(serving(5, ADDRESSES));
  const agent = host.startAgent(t);
  await agent.converged();
  const reached = (address: string): boolean => {
    try {
      host.exec('ping', '-c1', '-W2', address);
      return true;
    } catch {
      return false;
    }
  };
  for (const address of ADDRESSES) assert.ok(reached(address), address);

  const deeds: [string, string[]][] = [
    ['203.0.113.10', ['ip', 'route', 'del', '203.0.113.10/32']],
    ['2001:db8:a::10', ['ip', '-n', 'edge', 'addr', 'del', '2001:db8:a::10/128', 'dev', 'lo']],
    ['203.0.113.10', ['ip', '-n', 'edge', 'link', 'set', 'lo', 'down']],
  ];
  for (const [address, deed] of deeds) {
    host.exec(...deed);
    await waitFor(`${address} is back after ${deed.join(' ')}`, () => reached(address));
  }
  const repaired = await agent.until('it is told', ({ incident }) => incident === null);
  assert.match(
    repaired.lastRepair?.findings.join() ?? '',
    /edge\/lo|203\.0\.113\.10|2001:db8:a::10/,
  );

  await agent.kill();
  await host.accept(serving(6, []));
  await host.startAgent(t).converged();
  const left = host.exec('sh', '-c', 'ip route; ip -6 route; ip -n edge addr show dev lo');
  for (const address of ADDRESSES) assert.ok(!left.includes(address), left);
});
