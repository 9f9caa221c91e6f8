import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { drift, simName, simStatus, type SimStatus } from './sim';
import { TestLab, cannotRunLabs } from './testing';
import { eventually } from './wait';

const skip = cannotRunLabs();
const EDGES = 24;
let lab: TestLab;

before(async () => {
  if (skip === false) lab = await TestLab.up([], { simEdges: EDGES });
});
after(() => lab?.end());

const status = async (): Promise<SimStatus> => {
  const now = await simStatus(lab.lab);
  assert.ok(now);
  return now;
};

const until = (what: string, right: (now: SimStatus) => boolean): Promise<SimStatus> =>
  eventually(
    what,
    async () => {
      const now = await status();
      if (!right(now)) throw new Error(JSON.stringify(now));
      return now;
    },
    { within: 60_000 },
  );

test('simulated edges are onboarded by workflows like any other', { skip }, async () => {
  const now = await until('all are as they should be', ({ settled }) => settled === EDGES);
  assert.equal(now.connected, EDGES);
  assert.deepEqual(now.phases, { active: EDGES });
  const view = await lab.view(simName(1));
  assert.equal(view.phase, 'active');
  assert.equal(view.converged, true);
});

test('one that drifts is repaired by a workflow', { skip }, async () => {
  await drift(lab.lab, 1);
  const now = await until('it is over', (seen) => seen.drift.over === 1 && seen.incidents === 0);
  assert.equal(now.drift.edges, 1);
  assert.deepEqual(now.drift.repaired, { workflow: 1, agent: 0 });
});

test(
  'all at once are repaired, and what the agents did themselves is acknowledged',
  { skip },
  async () => {
    await drift(lab.lab, EDGES);
    const now = await until(
      'all are over',
      (seen) => seen.settled === EDGES && seen.drift.over === EDGES && seen.drift.unsent === 0,
    );
    const { workflow, agent } = now.drift.repaired;
    assert.equal(workflow + agent, EDGES);
    assert.equal(now.drift.repairedInMs.length, EDGES);
  },
);

test(
  'a fleet that was killed comes back with new hosts, which are built again',
  { skip },
  async () => {
    lab.lab.kill('fleet-1');
    await until('its edges are back', (now) => now.connected === EDGES && now.settled === EDGES);
  },
);
