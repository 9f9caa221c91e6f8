/** The scenes of the demo about one address from every edge. */
import { cut, heal } from '../../lab/cuts';
import { servedBy } from '../../lab/reach';
import { CLIENT } from '../../lab/topology';
import { eventually } from '../../lab/wait';
import { follow } from '../follow-route';
import { plural } from '../output';
import { announcementsTable } from '../show-services';
import { Prober } from './prober';
import type { Scene, Stage } from './stage';

const WITHIN = { within: 60_000 };
const PING_EVERY_MS = 5;

/** The demo's service and one of its addresses, as examples/lab declares them. */
function service({ services: [first] }: Stage): { name: string; address: string } {
  const [address] = first?.spec.addresses ?? [];
  if (first === undefined || address === undefined) throw new Error('The demo has no service');
  return { name: first.metadata.name, address };
}

const announcers = async (stage: Stage): Promise<string[]> => {
  const [view] = await stage.admin.getServices(service(stage).name);
  return view?.announcers ?? [];
};

/** The edge that answers the client now. */
const serving = (stage: Stage): Promise<string> =>
  eventually('the service answers', () => servedBy(stage.lab, service(stage).address), WITHIN);

async function showServices(stage: Stage): Promise<void> {
  stage.command('aether services');
  const found = await stage.admin.describeService(service(stage).name);
  stage.say(announcementsTable([found], stage.out).replace(/^/gm, '   '));
}

export const announce: Scene = async (stage) => {
  const { address } = service(stage);
  stage.heading('One address from every edge: a service is declared, in two regions');
  stage.command('aether apply -f examples/lab/service.yaml');
  await stage.admin.apply(stage.services, null);
  await eventually(
    'every edge announces it',
    async () => (await announcers(stage)).length === stage.nodes.length,
    WITHIN,
  );
  await showServices(stage);
  stage.command(`aether lab exec ${CLIENT} -- curl http://${address}/`);
  stage.say(`   ${await serving(stage)}`);
};

export const silentCut: Scene = async (stage) => {
  const { green } = stage.out.colours;
  const { address } = service(stage);
  const lost = await serving(stage);
  stage.heading(`The link of ${lost} is cut silently: no carrier is lost, packets just vanish`);
  const prober = new Prober(stage.lab, address, PING_EVERY_MS);
  try {
    await eventually('it answers pings', () => prober.lastAnswerMs > 0, WITHIN);
    stage.command(`aether lab cut ${lost} --silent`);
    const sinceMs = Date.now();
    await cut(stage.lab, lost, 'silent');
    const other = await eventually(
      'another edge serves',
      async () => {
        const now = await servedBy(stage.lab, address);
        return now === lost ? null : now;
      },
      WITHIN,
    );
    const silentMs = prober.longestSilence(sinceMs) ?? 0;
    stage.say(
      `     ${green('✔')} ${other} serves instead: pings lost for ${Math.round(silentMs)} ms, found by BFD (300 ms × 3)`,
    );
    stage.command(`aether lab heal ${lost}`);
    await heal(stage.lab, lost);
    await eventually(
      `${lost} announces again`,
      async () => (await announcers(stage)).includes(lost),
      WITHIN,
    );
    stage.say(`     healed; ${lost} announces again, once its BFD has been up for a second`);
  } finally {
    prober.stop();
  }
};

export const drain: Scene = async (stage) => {
  const { green } = stage.out.colours;
  const { address } = service(stage);
  const node = await serving(stage);
  stage.heading(`${node} is drained for work on it: not one packet may be lost`);
  const prober = new Prober(stage.lab, address, PING_EVERY_MS);
  try {
    await eventually('it answers pings', () => prober.lastAnswerMs > 0, WITHIN);
    const sinceMs = Date.now();
    stage.command(`aether drain ${node} --reason "kernel upgrade" --wait`);
    const { workflowId } = await stage.admin.route({
      verb: 'drain',
      node,
      service: null,
      from: null,
      to: null,
      reason: 'kernel upgrade',
      force: false,
      forMs: 0,
    });
    const hasEnded = (line: string): boolean => !line.includes('running');
    const told = {
      ...stage.out,
      progress: (line: string) => hasEnded(line) && stage.say(`   ${line}`),
    };
    const options = { wait: true, timeoutMs: WITHIN.within, verb: 'drain' } as const;
    const { status, progress } = await follow(stage.look, workflowId, options, told);
    if (progress?.state !== 'drained') throw new Error(`${workflowId} is ${status}`);
    const now = await serving(stage);
    const lost = prober.lost(sinceMs);
    stage.say(
      `     ${green('✔')} ${node} is empty, ${now} serves; ${plural(lost, 'ping')} of one each ${PING_EVERY_MS} ms lost`,
    );
  } finally {
    prober.stop();
  }
};

const FLAPPING = 'iad-1';
const FLAPS_AT_MOST = 8;

export const flap: Scene = async (stage) => {
  const { yellow } = stage.out.colours;
  stage.heading(`The link of ${FLAPPING} flaps: after a few times it is left out`);
  const quarantine = async (): Promise<string | null> => {
    const { lifecycle } = await stage.admin.describe(FLAPPING);
    return lifecycle?.phase === 'quarantined' ? (lifecycle.quarantine?.reason ?? null) : null;
  };
  const announces = async (): Promise<boolean> => (await announcers(stage)).includes(FLAPPING);
  for (let i = 1; i <= FLAPS_AT_MOST; i++) {
    stage.command(`aether lab cut ${FLAPPING}; aether lab heal ${FLAPPING}`);
    await cut(stage.lab, FLAPPING, 'silent');
    await eventually(`${FLAPPING} is lost`, async () => !(await announces()), WITHIN);
    await heal(stage.lab, FLAPPING);
    const reason = await eventually(
      `${FLAPPING} is back, or quarantined`,
      async () => (await quarantine()) ?? ((await announces()) ? '' : null),
      WITHIN,
    );
    if (reason === '') continue;
    stage.say(`     ${yellow('■')} quarantined: ${reason}`);
    await showServices(stage);
    return;
  }
  throw new Error(`${FLAPPING} was not quarantined`);
};
