import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { agentOf } from './declare';
import { World } from './e2e';
import { faultsOf, target } from './faults';
import { join } from 'node:path';
import { paths } from './state';
import { cannotRunLabs, exampleNode } from './testing';
import { findTool } from './tools';
import { eventually } from './wait';

const skip = cannotRunLabs();
const fra = exampleNode('fra-1', 1);
const ams = exampleNode('ams-1', 2);
const { vethDeletedInHost, namespaceDeleted, addressRemoved, linkDown } = faultsOf(fra);
let world: World;

before(async () => {
  if (skip === false) world = await World.make([fra, ams], { etcds: 3 });
});
after(() => world?.end());

const scenario = (name: string, run: () => Promise<void>): void => {
  test(name, { skip }, () => world.tellingLogs(run));
};

const problems = async (node: string): Promise<string[]> => {
  using admin = world.under.admin();
  return (await admin.describe(node)).edge?.problems ?? ['the agent does not answer'];
};

const polls = async (node: string): Promise<boolean> => {
  using admin = world.under.admin();
  return (await admin.describe(node)).edge?.temporal.connected ?? false;
};

/** By the controller's metrics, which are of a second ago at most. */
async function handedOn(): Promise<boolean> {
  const text = await world.under.lab.must('ctl-1', [
    process.execPath,
    '-e',
    `fetch('http://127.0.0.1:9700/metrics').then((answer) => answer.text()).then(console.log)`,
  ]);
  return /^aether_controller_handoff_waiting 0$/m.test(text);
}

/** Leaf name of the etcd member that leads, asked with the lab's own certificates. */
async function etcdLeader(): Promise<string> {
  const { lab } = world.under;
  const certificates = paths.certificates(lab.stateDir);
  const etcdctl = findTool('etcdctl');
  assert.ok(etcdctl !== null, 'etcdctl is there where etcd is');
  const text = await lab.must('etcd-1', [
    etcdctl,
    `--cacert=${certificates}/ca.pem`,
    `--cert=${certificates}/controller/ctl-1.pem`,
    `--key=${certificates}/controller/ctl-1.key`,
    '--endpoints=https://198.18.1.1:2379,https://198.18.1.2:2379,https://198.18.1.3:2379',
    'endpoint',
    'status',
    '--write-out=json',
  ]);
  const members = JSON.parse(text) as {
    Endpoint: string;
    Status: { header: { member_id: number }; leader: number };
  }[];
  const leader = members.find(({ Status }) => Status.header.member_id === Status.leader);
  const last = /\.(\d+):2379$/.exec(leader?.Endpoint ?? '')?.[1];
  assert.ok(last !== undefined, 'somebody leads');
  return `etcd-${last}`;
}

scenario('an agent that is killed finds what was broken while it was away', async () => {
  const { lab } = world.under;
  await lab.stop(agentOf('fra-1'));
  const sinceMs = await world.inflict('fra-1', namespaceDeleted);
  await lab.start(agentOf('fra-1'));
  await world.assertMended(fra, sinceMs);
});

scenario('an agent that is killed in the middle of a repair leaves nothing half done', async () => {
  const { lab } = world.under;
  for (const afterMs of [0, 40, 80, 160]) {
    await world.inflict('fra-1', namespaceDeleted);
    await delay(afterMs);
    lab.kill(agentOf('fra-1'));
    await world.under.settled(fra, 30_000);
  }
  await world.assertForeignIntact('fra-1');
});

scenario('with the controller gone the agent repairs by itself and tells it later', async () => {
  const { lab } = world.under;
  await lab.stop('ctl-1');
  const sinceMs = await world.inflict('fra-1', vethDeletedInHost);
  await eventually(
    'the link is back',
    async () => (await lab.exec('fra-1', ['ip', 'link', 'show', 'edge0'])).code === 0,
    { within: 20_000 },
  );
  await lab.start('ctl-1');
  await world.assertMended(fra, sinceMs, 'agent');
});

scenario('a controller that is killed comes back, and nothing is lost or done twice', async () => {
  const sinceMs = await world.inflict('fra-1', addressRemoved);
  world.under.lab.kill('ctl-1');
  await world.assertMended(fra, sinceMs);
});

scenario('the etcd leader is killed: a new spec is written and reaches the edge', async () => {
  const changed = structuredClone(fra);
  target(changed).link.mtu = 1420;
  world.under.lab.kill(await etcdLeader());
  await world.apply(changed);
  await world.under.settled(changed, 30_000);
  await world.apply(fra);
  await world.under.settled(fra, 30_000);
  await world.assertForeignIntact('fra-1');
});

scenario('Temporal is stopped for 30 s: repairs go on, and each is on record once', async () => {
  const { lab } = world.under;
  await lab.stop('temporal');
  const stoppedAt = performance.now();
  const first = await world.inflict('fra-1', vethDeletedInHost);
  await eventually(
    'the link is back',
    async () => (await lab.exec('fra-1', ['ip', 'link', 'show', 'edge0'])).code === 0,
    { within: 20_000 },
  );
  await delay(15_000 - (performance.now() - stoppedAt));
  const second = await world.inflict('ams-1', faultsOf(ams).linkDown);
  await delay(30_000 - (performance.now() - stoppedAt));
  await lab.start('temporal');
  await world.assertMended(fra, first, 'agent');
  await world.assertMended(ams, second, 'agent');
  // A Worker that was refused asks again after some seconds; until then the agent repairs by itself.
  await eventually('its Worker polls again', () => polls('fra-1'), { within: 60_000 });
  // So does the controller with what waited: a drift that comes before is told after that.
  await eventually('nothing waits for Temporal', handedOn, { within: 60_000 });
  const later = await world.inflict('fra-1', linkDown);
  await world.assertMended(fra, later, 'workflow');
});

const agentState = (node: string): string =>
  join(paths.host(world.under.lab.stateDir, node), 'agent');

scenario('a read-only state directory is told, and stops no repair by a workflow', async () => {
  const { lab } = world.under;
  const state = agentState('fra-1');
  await lab.must('fra-1', ['mount', '--bind', state, state]);
  await lab.must('fra-1', ['mount', '-o', 'remount,bind,ro', state]);
  const sinceMs = await world.inflict('fra-1', namespaceDeleted);
  await eventually(
    'the agent tells its problem',
    async () => (await problems('fra-1')).some((text) => text.includes(state)),
    { within: 20_000 },
  );
  await lab.must('fra-1', ['umount', state]);
  await world.assertMended(fra, sinceMs);
  await eventually('the problem is over', async () => (await problems('fra-1')).length === 0, {
    within: 30_000,
  });
});

scenario('a full disk under the state directory is told, and over when there is room', async () => {
  const { lab } = world.under;
  const state = agentState('ams-1');
  const script = `set -e; cp -a ${state} /run/copy; mount -t tmpfs -o size=64k tmpfs ${state}
    cp -a /run/copy/. ${state}; dd if=/dev/zero of=${state}/ballast bs=4k 2>/dev/null || true`;
  await lab.must('ams-1', ['sh', '-c', script]);
  const sinceMs = await world.inflict('ams-1', faultsOf(ams).vethDeletedInHost);
  await eventually(
    'the agent tells its problem',
    async () => (await problems('ams-1')).some((text) => text.includes(state)),
    { within: 20_000 },
  );
  await lab.must('ams-1', ['rm', `${state}/ballast`]);
  await world.assertMended(ams, sinceMs);
  await eventually('the problem is over', async () => (await problems('ams-1')).length === 0, {
    within: 30_000,
  });
});
