/** Runs every command of docs/notes/workflows-by-hand.md, as it stands there, for a node of our own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import { messageNames } from '../core/model/messages';
import { DEFAULT_REPAIR } from '../core/model/node';
import { shardOf } from '../core/ring/shard';
import { temporalBinary, withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import { driftOf, type ScriptedEdge } from './testing/scripted';
import { until } from './testing/until';

const page = readFileSync(join(__dirname, '../../docs/notes/workflows-by-hand.md'), 'utf8');
const commands = [...page.matchAll(/^```sh\n(.*?)^```/gms)].map(([, command = '']) =>
  command.trim(),
);

describe('workflows by hand', { skip: withoutTemporal }, () => {
  let house: House;
  let edge: ScriptedEdge;
  before(async () => {
    house = await House.open();
    edge = await house.node();
  });
  after(() => house.close());

  /** The service of the page, here and elsewhere. */
  async function serve(): Promise<void> {
    if (house.routing.services.has('dns')) return;
    await house.startShard(shardOf('dns'));
    const others = [await house.node(), await house.node()];
    const regions = others.map(({ node }) => [node, 'us'] as const);
    house.routing.place('dns', { [edge.node]: 'eu', ...Object.fromEntries(regions) });
  }

  /** What has to be so before a command makes sense, by a part of its text. */
  const given: [string, () => Promise<unknown>][] = [
    [
      '--name approve',
      async () => {
        await house.client.signalWithStart('repairNode', {
          workflowId: workflowId.repair(edge.node),
          taskQueue: WORKFLOW_QUEUE,
          args: [{ node: edge.node }],
          signal: messageNames.drift,
          signalArgs: [
            driftOf(edge.node, {
              planHash: 'PLAN-HASH',
              policy: { ...DEFAULT_REPAIR, policy: 'propose' },
              revision: edge.accepted,
            }),
          ],
        });
        await until('a plan waits', () => edge.calls.at(-1) === 'note propose');
      },
    ],
    ['--type drainNode', serve],
    ['--type decommissionNode', async () => house.cluster.markDeleted(edge.node)],
    [
      'workflow metadata',
      () => house.client.getHandle(workflowId.decommission(edge.node)).result(),
    ],
  ];

  test('each command of the page works, in its order', async (t) => {
    assert.ok(temporalBinary);
    const PATH = `${dirname(temporalBinary)}:${process.env['PATH'] ?? ''}`;
    const env = { PATH, TEMPORAL_ADDRESS: house.address, HOME: '/nonexistent' };
    assert.ok(commands.length >= 9, 'the page has commands');
    for (const command of commands) {
      await t.test(command.replaceAll(/\\\n\s*/g, '').slice(0, 80), async () => {
        for (const [part, prepare] of given) if (command.includes(part)) await prepare();
        const line = command.replaceAll('fra-1', edge.node);
        await promisify(execFile)('sh', ['-ec', line], { env });
      });
    }
    assert.equal(edge.present.size, 0, 'brought up and taken away again');
    assert.ok(edge.requests.some(({ fence }) => fence.planHash === 'PLAN-HASH'));
    assert.equal(house.cluster.nodes.has(edge.node), false);
  });
});
