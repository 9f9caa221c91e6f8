import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { NodeResource } from '../core/model/node';
import { agentOf } from './declare';
import { World } from './e2e';
import { faultsOf, target } from './faults';
import type { Fault } from './faults';
import { mustRun } from './run';
import { cannotRunLabs, exampleNode } from './testing';
import { needTool } from './tools';

const skip = cannotRunLabs();
const fra = exampleNode('fra-1', 1);
const ams = sixLinks(exampleNode('ams-1', 2));
let world: World;

/** The example with five more links, so that many things can be broken at once. */
function sixLinks(node: NodeResource): NodeResource {
  const { namespace } = target(node);
  for (let i = 1; i <= 5; i += 1) {
    namespace.links.push({
      name: `edge${i}`,
      peer: `eth${i}`,
      mtu: 1500,
      hostAddresses: [`10.20.${i}.1/30`],
      addresses: [`10.20.${i}.2/30`],
    });
  }
  return node;
}

before(async () => {
  if (skip === false) world = await World.make([fra, ams]);
});
after(() => world?.end());

const scenario = (name: string, run: () => Promise<void>): void => {
  test(name, { skip }, () => world.tellingLogs(run));
};

for (const [name, fault] of Object.entries<Fault>(faultsOf(fra))) {
  scenario(`${name}: ${fault.title}, and is repaired by a workflow`, async () => {
    const sinceMs = await world.inflict('fra-1', fault);
    const record = await world.assertMended(fra, sinceMs, 'workflow');
    assert.equal(record.decision, 'repair');
  });
}

scenario('ten different things at once are all repaired', async () => {
  const inside = ['ip', '-n', 'edge'];
  const sinceMs = await world.inflict('ams-1', {
    title: 'ten at once',
    commands: [
      ['ip', 'link', 'delete', 'edge0'],
      [...inside, 'link', 'delete', 'eth1'],
      ['ip', 'link', 'set', 'edge2', 'down'],
      [...inside, 'link', 'set', 'eth3', 'down'],
      ['ip', 'link', 'set', 'edge4', 'mtu', '1400'],
      ['ip', 'link', 'set', 'edge5', 'down', 'name', 'oops5'],
      [...inside, 'address', 'delete', '10.20.4.2/30', 'dev', 'eth4'],
      ['ip', 'address', 'delete', '10.20.2.1/30', 'dev', 'edge2'],
      ['ip', 'netns', 'exec', 'edge', 'sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward'],
      ['find', '/sys/fs/bpf/aether', '-type', 'f', '-delete'],
    ],
  });
  await world.assertMended(ams, sinceMs, 'workflow');
});

scenario('a spec that changes in the middle of a repair wins', async () => {
  const changed = structuredClone(fra);
  target(changed).link.mtu = 1400;
  target(changed).link.addresses.push('10.10.1.130/30');
  const sinceMs = await world.inflict('fra-1', faultsOf(fra).namespaceDeleted);
  await world.apply(changed);
  await world.under.settled(changed, 30_000);
  await world.assertForeignIntact('fra-1');
  await world.apply(fra);
  await world.under.settled(fra, 30_000);
  assert.ok((await world.repairs('fra-1', sinceMs)).length > 0);
});

/** The metrics of an agent, asked as Prometheus asks: in the format that has exemplars. */
const metricsOf = (host: string): Promise<string> =>
  world.under.lab.must(host, [
    process.execPath,
    '-e',
    `fetch('http://127.0.0.1:9701/metrics', { headers: { accept: 'application/openmetrics-text' } })
      .then((answer) => answer.text())
      .then((text) => process.stdout.write(text))`,
  ]);

/** What the signals and activities of a workflow carried, decoded, by the stock `temporal`. */
async function historyOf(workflow: string): Promise<string> {
  const { temporal: address } = world.under.lab.record.endpoints;
  const argv = [
    'workflow',
    'show',
    '--output=json',
    `--workflow-id=${workflow}`,
    `--address=${address}`,
  ];
  const text = await mustRun([needTool('temporal'), ...argv], { env: { HOME: '/nonexistent' } });
  return [...text.matchAll(/"data": ?"([^"]*)"/g)]
    .map(([, data]) => Buffer.from(data ?? '', 'base64').toString())
    .join('\n');
}

scenario('one incident id runs through record, logs, workflow and metric', async () => {
  const sinceMs = await world.inflict('fra-1', faultsOf(fra).vethDeletedInHost);
  const { incidentId } = await world.assertMended(fra, sinceMs, 'workflow');
  const { under } = world;
  for (const process of ['ctl-1', agentOf('fra-1')]) {
    assert.ok(under.logOf(process, 1_000).includes(incidentId), `the log of ${process}`);
  }
  assert.ok((await historyOf('node/fra-1/repair')).includes(incidentId), 'the history');
  assert.ok((await metricsOf('fra-1')).includes(`incident_id="${incidentId}"`), 'an exemplar');
});
