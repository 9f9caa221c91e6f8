import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { CancelledFailure } from '@temporalio/common';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import { messageNames } from '../core/model/messages';
import type { DrainInput } from '../core/model/routing-messages';
import type { drainNode } from './drain-node';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import {
  QUICK,
  endOf,
  failureOf,
  holdAt,
  progressOf,
  refusalOf,
  serving,
} from './testing/routing-house';
import { until } from './testing/until';

describe('drainNode', { skip: withoutTemporal }, () => {
  let house: House;
  let names = 0;
  const service = (): string => `dns-${++names}`;
  before(async () => {
    house = await House.open();
  });
  afterEach(() => {
    house.routing.before = () => {};
    house.routing.observed = true;
    house.routing.heeding = true;
  });
  after(() => house.close());

  const start = (node: string, change: Partial<DrainInput> = {}) =>
    house.client.start<typeof drainNode>('drainNode', {
      workflowId: workflowId.drain(node),
      taskQueue: WORKFLOW_QUEUE,
      workflowTaskTimeout: '2s',
      args: [{ node, reason: 'a new kernel', by: 'ada', timings: QUICK, ...change }],
    });
  const life = async (node: string) => {
    const { phase, holder } = (await house.temporal.lifecycleState(node)) ?? {};
    return { phase, holder };
  };
  const written = (node: string): string[] =>
    house.routing.written.filter((call) => call.includes(node));

  test('last choice, peers moved, withdrawn, quiet; each step with its evidence', async () => {
    const name = service();
    const [one = '', two = ''] = await serving(house, name, ['eu', 'eu']);
    const run = await start(one);
    const { outcome, verified, steps } = await endOf(run);
    assert.equal(outcome, 'drained');
    assert.equal(verified, true, JSON.stringify(steps));
    assert.deepEqual(written(one), [`node ${one} deprefer`, `node ${one} withdraw`]);
    assert.deepEqual(
      steps.map(({ what }) => what),
      [
        `command ${one}: deprefer`,
        `${one} follows: deprefer`,
        'peers have moved',
        `command ${one}: withdraw`,
        `${one} follows: withdraw`,
        'gone at the peers',
        'its counters are quiet',
      ],
    );
    assert.match(steps[2]?.evidence ?? '', new RegExp(`at obs: ${two}`));
    assert.match(steps[6]?.evidence ?? '', /at rest for \d+ ms/);
    assert.deepEqual(await life(one), { phase: 'draining', holder: null });
    const { typedSearchAttributes } = await run.describe();
    const attribute = (key: string) => typedSearchAttributes.get({ name: key, type: 'KEYWORD' });
    assert.equal(attribute('AetherNode'), one);
    assert.equal(attribute('AetherState'), 'drained');
    await house.record(run, 'drainNode-drained');

    const back = await start(one, { undo: true });
    const undone = await endOf(back);
    assert.equal(undone.outcome, 'undrained');
    assert.equal(undone.verified, true, JSON.stringify(undone.steps));
    assert.deepEqual(written(one).slice(2), [`node ${one} deprefer`, `node ${one} announce`]);
    assert.deepEqual(await life(one), { phase: 'active', holder: null });
    assert.equal(house.routing.stanceOf(one, name), 'announce');
    await house.record(back, 'drainNode-undrained');
  });

  test('is refused at the floor before anything is touched, and forced through by a person', async () => {
    const name = service();
    const [one = ''] = await serving(house, name, ['eu', 'eu'], { minAnnouncers: 2 });
    const run = await start(one);
    const failure = await refusalOf(run.result());
    assert.equal(failure.type, 'FloorReached');
    assert.match(failure.message, new RegExp(`${name} would be announced by 1 .* its floor is 2`));
    assert.deepEqual(written(one), []);
    assert.deepEqual(await life(one), { phase: 'active', holder: null });
    await house.record(run, 'drainNode-floor');
    const forced = await start(one, { force: true });
    assert.equal((await forced.result()).outcome, 'drained');
  });

  test('of two drains at once, the one that would break the floor stands again as before', async () => {
    const name = service();
    const [one = '', two = ''] = await serving(house, name, ['eu', 'eu', 'eu'], {
      minAnnouncers: 2,
    });
    const held = holdAt(house, (call) => call.endsWith('withdraw'));
    const runs = [await start(one), await start(two)];
    await held.reached;
    held.free();
    const ends = await Promise.allSettled(runs.map((run) => run.result()));
    assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    const stands = [one, two].map((node) => house.routing.stanceOf(node, name)).sort();
    assert.deepEqual(stands, ['announce', 'withdraw']);
  });

  test('looks again when somebody else has commanded meanwhile', async () => {
    const [one = ''] = await serving(house, service(), ['eu', 'eu']);
    // As where many others are withdrawn at the same time.
    let times = 12;
    house.routing.before = (call) => {
      if (call === `node ${one} withdraw` && times-- > 0) house.routing.interfere();
    };
    assert.equal((await (await start(one)).result()).outcome, 'drained');
    assert.ok(times < 1);
  });

  test('peers that do not move are not left without a path: all is taken back', async () => {
    const name = service();
    const [one = ''] = await serving(house, name, ['eu', 'eu']);
    house.routing.heeding = false;
    const run = await start(one, { timings: { ...QUICK, moveMs: 400 } });
    const failure = await refusalOf(run.result());
    assert.equal(failure.type, 'DrainFailed');
    assert.match(failure.message, /peers have not moved/);
    assert.deepEqual(written(one), [`node ${one} deprefer`, `node ${one} announce`]);
    assert.deepEqual(await life(one), { phase: 'active', holder: null });
    await house.record(run, 'drainNode-notMoved');
  });

  test('without an observer it says that nothing was observed, and goes on', async () => {
    const [one = ''] = await serving(house, service(), ['eu', 'eu']);
    house.routing.observed = false;
    const run = await start(one);
    const { outcome, verified, steps } = await endOf(run);
    assert.equal(outcome, 'drained');
    assert.equal(verified, false);
    assert.match(steps[2]?.evidence ?? '', /sent, not observed/);
    assert.equal(steps[2]?.outcome, 'unverified');
    await house.record(run, 'drainNode-unobserved');
  });

  test('an edge that is cut off is commanded, and not waited for', async () => {
    const [one = ''] = await serving(house, service(), ['eu', 'eu']);
    house.routing.set(one, { connected: false, alive: false });
    const run = await start(one, { timings: { ...QUICK, followMs: 300, quietLimitMs: 300 } });
    const { outcome, verified, steps } = await endOf(run);
    assert.equal(outcome, 'drained');
    assert.equal(verified, false);
    assert.match(steps[1]?.evidence ?? '', /not connected/);
    assert.equal(house.routing.commands.get(one)?.stance, 'withdraw');
  });

  const interruptions: [string, (node: string) => (call: string) => boolean][] = [
    ['its look', () => (call) => call === 'routingOf'],
    ['the first command', (node) => (call) => call === `node ${node} deprefer`],
    ['its wait for peers', () => (call) => call === 'seenAt'],
    ['the withdrawal', (node) => (call) => call === `node ${node} withdraw`],
    ['its wait for counters', (node) => (call) => call === `countersOf ${node}`],
  ];
  for (const [at, matches] of interruptions) {
    test(`cancelled at ${at} it stands again as before`, async () => {
      const name = service();
      const [one = ''] = await serving(house, name, ['eu', 'eu']);
      const held = holdAt(house, matches(one));
      const run = await start(one);
      await held.reached;
      await run.cancel();
      held.free();
      assert.ok((await failureOf(run.result())) instanceof CancelledFailure);
      assert.equal(house.routing.stanceOf(one, name), 'announce');
      assert.equal(house.routing.commands.get(one)?.stance ?? 'announce', 'announce');
      assert.deepEqual(await life(one), { phase: 'active', holder: null });
      if (at === 'the withdrawal') await house.record(run, 'drainNode-cancelled');
    });
  }

  test('undrained while it is under way it turns back', async () => {
    const name = service();
    const [one = ''] = await serving(house, name, ['eu', 'eu']);
    const held = holdAt(house, (call) => call === 'seenAt');
    const run = await start(one);
    await held.reached;
    const now = await progressOf(run);
    assert.equal(now.state, 'moving');
    assert.equal(now.steps.at(-1)?.outcome, 'running');
    await run.signal(messageNames.undrain, { by: 'ada', reason: 'never mind' });
    held.free();
    assert.equal((await endOf(run)).outcome, 'undrained');
    assert.equal(house.routing.stanceOf(one, name), 'announce');
    assert.deepEqual(await life(one), { phase: 'active', holder: null });
    await house.record(run, 'drainNode-turned');
  });

  test('an undrain that waits for what routers damp goes on at once when a person forces it', async () => {
    const name = service();
    const [one = ''] = await serving(house, name, ['eu', 'eu']);
    assert.equal((await endOf(await start(one))).outcome, 'drained');
    // It came back a moment ago, and went again.
    const moves = [
      ['announce', 'withdraw'],
      ['withdraw', 'announce'],
      ['announce', 'withdraw'],
    ] as const;
    const events = moves.map(([from, to], i) => ({
      ...{ sequence: i + 1, atMs: Date.now(), kind: 'stance' as const },
      ...{ service: name, from, to, why: 'as commanded' },
    }));
    await house.client.getHandle(workflowId.lifecycle(one)).signal(messageNames.routingEvents, {
      events,
    });
    const run = await start(one, { undo: true });
    await until('it waits', async () => (await progressOf(run)).state === 'waiting');
    await run.signal(messageNames.undrain, { by: 'ada', reason: 'now', force: true });
    const { outcome, steps } = await endOf(run);
    assert.equal(outcome, 'undrained');
    assert.ok(steps.some(({ evidence }) => /a router that damps may mute it/.test(evidence ?? '')));
    assert.equal(house.routing.stanceOf(one, name), 'announce');
    await house.record(run, 'drainNode-hurried');
  });

  test('a node in the hands of somebody else is left to them', async () => {
    const [one = ''] = await serving(house, service(), ['eu', 'eu']);
    await house.cluster.requestPhase(one, 'decommissioning', 'workflow/of/another', null);
    house.cluster.isRunning = async () => true;
    try {
      const failure = await refusalOf((await start(one)).result());
      assert.equal(failure.type, 'PhaseConflict');
      assert.deepEqual(written(one), []);
    } finally {
      Reflect.deleteProperty(house.cluster, 'isRunning');
    }
  });

  test('a wrong input fails at once, with what is wrong', async () => {
    const bad = { reason: '', by: 'ada', timings: { moveMs: -1 } };
    const failure = await refusalOf((await start('fra-1', bad)).result());
    assert.equal(failure.type, 'InvalidInput');
    const other = await refusalOf((await start('fra-1', { timings: { moveMs: -1 } })).result());
    assert.match(other.message, /each of timings has to be/);
  });
});
