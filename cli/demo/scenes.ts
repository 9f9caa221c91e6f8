/** What the demo shows, one function a scene. */
import { setTimeout as delay } from 'node:timers/promises';
import { faultsOf } from '../../lab/faults';
import type { FaultName } from '../../lab/faults';
import { xdpOn } from '../../lab/look';
import { eventually } from '../../lab/wait';
import { describeTop } from '../filter-output';
import { describeChanges } from '../commands/apply';
import { nodesTable } from '../commands/inspect';
import { plural } from '../output';
import { waitForNodes, writtenOf } from '../wait-nodes';
import { Flood } from './flood';
import { announce, drain, flap, silentCut } from './routing-scenes';
import type { Mended, Scene, Stage } from './stage';

const ms = (value: number): string =>
  value < 1_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;

function tell(stage: Stage, mended: Mended): void {
  const { green, dim } = stage.out.colours;
  const took = mended.repairedInMs === null ? 'repaired' : `repaired in ${ms(mended.repairedInMs)}`;
  const users =
    mended.silentMs === null ? 'no ping was lost' : `pings lost for ${ms(mended.silentMs)}`;
  const by = mended.by === 'workflow' ? `by node/${mended.node}/repair` : 'by the agent alone';
  stage.say(`     ${green('✔')} ${took} ${by}, ${users}  ${dim(mended.incidentId)}`);
}

const declare: Scene = async (stage) => {
  stage.heading('Four nodes are declared; workflows bring them up');
  stage.command('aether apply -f examples/lab/eu-central.yaml -f examples/lab/us-east.yaml --wait');
  const changes = await stage.admin.apply(stage.nodes, null);
  stage.say(describeChanges(changes, stage.out).replace(/^/gm, '   '));
  const out = { ...stage.out, progress: (line: string) => stage.say(`   ${line}`) };
  const written = writtenOf(stage.nodes, changes);
  await waitForNodes(stage.look, written, '2m', out);
  for (const { name } of written) await stage.settled(name);
  stage.command('aether get nodes');
  stage.say(nodesTable(await stage.admin.get(), stage.out).replace(/^/gm, '   '));
};

const BROKEN: readonly [string, FaultName][] = [
  ['fra-1', 'namespaceDeleted'],
  ['ams-1', 'vethDeletedInHost'],
  ['nyc-1', 'addressRemoved'],
  ['iad-1', 'filterDetached'],
  ['fra-1', 'linkDown'],
  ['ams-1', 'mtuChanged'],
  ['nyc-1', 'routeRemoved'],
  ['iad-1', 'linkRenamed'],
];

const breakOne: Scene = async (stage) => {
  stage.heading('Somebody breaks them by hand, one after the other');
  stage.watch();
  for (const [name, faultName] of BROKEN) {
    const fault = faultsOf(stage.node(name))[faultName];
    stage.say(`   ${name}: ${fault.title}`);
    for (const argv of fault.commands)
      stage.command(`aether lab exec ${name} -- ${argv.join(' ')}`);
    const sinceMs = await stage.inflict(name, fault);
    tell(stage, await stage.recovered(name, fault.title, sinceMs));
  }
};

const breakAll: Scene = async (stage) => {
  stage.heading('All of them at once');
  const title = 'its namespace is deleted, with all the others';
  const broken = await Promise.all(
    stage.nodes.map(async (node) => {
      const { name } = node.metadata;
      return [name, await stage.inflict(name, faultsOf(node).namespaceDeleted)] as const;
    }),
  );
  stage.say(`   ${broken.map(([name]) => name).join(', ')}: the namespace edge is deleted`);
  for (const [name, sinceMs] of broken) tell(stage, await stage.recovered(name, title, sinceMs));
};

const ATTACKER = '203.0.113.66';

const attack: Scene = async (stage) => {
  const { green } = stage.out.colours;
  const name = 'fra-1';
  stage.heading(`An attack: ${ATTACKER} floods ${name}`);
  const flood = await Flood.start(stage.lab, ATTACKER, stage.addressOf(name));
  try {
    const passed = await stage.counted(name, 'pass');
    await eventually(
      'the flood gets through',
      async () => (await stage.counted(name, 'pass')) > passed + 1_000,
      { within: 20_000 },
    );
    stage.say(`   its packets reach the service`);
    stage.command(`aether block ${ATTACKER} --for 1h --reason "flood"`);
    const began = performance.now();
    const block = { prefix: ATTACKER, reason: 'flood', nodes: {}, force: false };
    const { nodes } = await stage.admin.block({ ...block, blocked: true, forMs: 3_600_000 });
    const dropped = await eventually(
      'its packets are dropped',
      async () => (await stage.counted(name, 'dropBlock')) || null,
      { within: 20_000, every: 5 },
    );
    const tookMs = performance.now() - began;
    stage.say(
      `     ${green('✔')} dropped in the driver of ${plural(nodes.length, 'node')}, ${ms(tookMs)} later; ${dropped} packets so far`,
    );
    stage.command(`aether filter top ${name} --once`);
    const top = await eventually('a drop is sampled', () => stage.topOf(name), { within: 20_000 });
    stage.say(describeTop(top, Date.now()).replace(/^/gm, '   '));
    await stage.admin.block({ ...block, blocked: false, forMs: 0 });
  } finally {
    await flood.stop();
  }
};

const freeze: Scene = async (stage) => {
  const { yellow } = stage.out.colours;
  const name = 'fra-1';
  const fault = faultsOf(stage.node(name)).mtuChanged;
  stage.heading('Frozen, nothing is repaired, and it says why');
  stage.command(`aether freeze ${name} --reason "NIC swap"`);
  await stage.admin.freeze(name, true, 'NIC swap');
  await eventually(`${name} is frozen`, () => isFrozen(stage, name), { within: 20_000 });
  const sinceMs = await stage.inflict(name, fault);
  stage.say(`   ${name}: ${fault.title}`);
  stage.command(`aether explain node ${name}`);
  const why = await eventually(
    'it says why',
    async () => (await stage.admin.explain(name)).whyNot,
    {
      within: 20_000,
    },
  );
  await delay(1_000);
  const { difference } = await stage.admin.explain(name);
  if (difference.length === 0) throw new Error(`${name} was repaired although it is frozen`);
  stage.say(`     ${yellow('■')} not repaired: ${why}`);
  stage.command(`aether unfreeze ${name}`);
  await stage.admin.freeze(name, false, 'NIC swapped');
  tell(stage, await stage.recovered(name, `${fault.title}, while frozen`, sinceMs));
};

const isFrozen = async (stage: Stage, name: string): Promise<boolean> => {
  const { edge } = await stage.admin.describe(name);
  return edge?.frozen.node === true;
};

const withoutTemporal: Scene = async (stage) => {
  const name = 'nyc-1';
  const fault = faultsOf(stage.node(name)).vethDeletedInHost;
  stage.heading('Temporal is gone; the edge goes on by the last spec that it accepted');
  stage.say('   Temporal is killed and kept from coming back');
  await stage.lab.stop('temporal');
  const sinceMs = await stage.inflict(name, fault);
  stage.say(`   ${name}: ${fault.title}`);
  await stage.settled(name);
  stage.say(
    `     the agent has waited for a decision, and repaired by itself; Temporal comes back`,
  );
  await stage.lab.start('temporal');
  tell(stage, await stage.recovered(name, `${fault.title}, without Temporal`, sinceMs));
};

const audit: Scene = async (stage) => {
  stage.heading('The audit, now instead of in a quarter of an hour');
  stage.command('aether audit');
  const { nodes } = await eventually('the audit starts', () => stage.admin.audit(), {
    within: 30_000,
  });
  stage.say(
    `   compares desired with applied for ${plural(nodes, 'node')}, in one activity for each shard`,
  );
};

const remove: Scene = async (stage) => {
  const name = 'iad-1';
  stage.heading('A node is taken out; its host is clean afterwards');
  stage.command(`aether delete node ${name}`);
  stage.stopWatching(name);
  await stage.admin.delete(name, false);
  const gone = async (): Promise<boolean> =>
    !(await stage.admin.get()).some((view) => view.name === name);
  await eventually(`${name} is gone`, gone, { within: 60_000 });
  const links = await stage.lab.must(name, ['ip', '-br', 'link']);
  const namespaces = await stage.lab.must(name, ['ip', 'netns']);
  const filter = await xdpOn(stage.lab, name, 'uplink0');
  if (namespaces.trim() !== '' || links.includes('edge0') || filter !== null) {
    throw new Error(`${name} is not clean: ${namespaces}${links}`);
  }
  stage.say(
    `     ${stage.out.colours.green('✔')} no namespace, no link, no XDP program of ours is left on it`,
  );
};

export const SCENES: readonly Scene[] = [
  declare,
  breakOne,
  breakAll,
  attack,
  freeze,
  withoutTemporal,
  announce,
  silentCut,
  drain,
  flap,
  audit,
  remove,
];
