/** What the demo shows, one function a scene. */
import { setTimeout as delay } from 'node:timers/promises';
import { faultsOf } from '../../lab/faults';
import type { FaultName } from '../../lab/faults';
import { xdpOn } from '../../lab/look';
import { eventually } from '../../lab/wait';
import { describeChanges } from '../commands/apply';
import { nodesTable } from '../commands/inspect';
import { plural } from '../output';
import { waitForNodes } from '../wait-nodes';
import type { Mended, Stage } from './stage';

type Scene = (stage: Stage) => Promise<void>;

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
  stage.heading('2  Four nodes are declared; workflows bring them up');
  stage.command('aether apply -f examples/lab --wait');
  const changes = await stage.admin.apply(stage.nodes, null);
  stage.say(describeChanges(changes, stage.out).replace(/^/gm, '   '));
  const names = stage.nodes.map(({ metadata }) => metadata.name);
  await waitForNodes(stage.admin, names, '2m', {
    ...stage.out,
    progress: (line) => stage.say(`   ${line}`),
  });
  for (const name of names) await stage.settled(name);
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
  stage.heading('3  Somebody breaks them by hand, one after the other');
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
  stage.heading('4  All of them at once');
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

const freeze: Scene = async (stage) => {
  const { yellow } = stage.out.colours;
  const name = 'fra-1';
  const fault = faultsOf(stage.node(name)).mtuChanged;
  stage.heading('5  Frozen, nothing is repaired, and it says why');
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
  stage.heading('6  Temporal is gone; the edge goes on by the last spec that it accepted');
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
  stage.heading('7  The audit, now instead of in a quarter of an hour');
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
  stage.heading('8  A node is taken out; its host is clean afterwards');
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
  freeze,
  withoutTemporal,
  audit,
  remove,
];
