import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { CancelledFailure } from '@temporalio/common';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import { messageNames } from '../core/model/messages';
import type { ServiceDrainInput } from '../core/model/routing-messages';
import { shardOf } from '../core/ring/shard';
import type { drainService } from './drain-service';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import { QUICK, endOf, failureOf, holdAt, refusalOf, serving } from './testing/routing-house';

describe('drainService', { skip: withoutTemporal }, () => {
  let house: House;
  let names = 0;
  before(async () => {
    house = await House.open();
  });
  afterEach(() => {
    house.routing.before = () => {};
    house.routing.heeding = true;
  });
  after(() => house.close());

  const placed = async (
    regions: string[],
    change: Parameters<typeof serving>[3] = {},
  ): Promise<{ name: string; nodes: string[] }> => {
    const name = `web-${++names}`;
    await house.startShard(shardOf(name));
    return { name, nodes: await serving(house, name, regions, change) };
  };
  const start = (service: string, change: Partial<ServiceDrainInput> = {}) =>
    house.client.start<typeof drainService>('drainService', {
      workflowId: workflowId.drainService(service),
      taskQueue: WORKFLOW_QUEUE,
      workflowTaskTimeout: '2s',
      args: [
        { service, regions: ['eu'], reason: 'a new version', by: 'ada', timings: QUICK, ...change },
      ],
    });
  const stances = (service: string, nodes: string[]) =>
    nodes.map((node) => house.routing.stanceOf(node, service));
  const written = (service: string): string[] =>
    house.routing.written.filter((call) => call.startsWith(`traffic ${service} `));

  test('takes a service away from a region, and brings it back', async () => {
    const { name, nodes } = await placed(['eu', 'eu', 'us']);
    const run = await start(name);
    const { outcome, verified, steps } = await endOf(run);
    assert.equal(outcome, 'drained');
    assert.equal(verified, true, JSON.stringify(steps));
    assert.deepEqual(stances(name, nodes), ['withdraw', 'withdraw', 'announce']);
    assert.deepEqual(written(name), [
      `traffic ${name} {"eu":"deprefer"} {}`,
      `traffic ${name} {"eu":"withdraw"} {}`,
    ]);
    const { typedSearchAttributes } = await run.describe();
    const key = { name: 'AetherService', type: 'KEYWORD' } as const;
    assert.equal(typedSearchAttributes.get(key), name);
    await house.record(run, 'drainService-drained');

    const back = await start(name, { undo: true, regions: null });
    const undone = await endOf(back);
    assert.equal(undone.verified, true, JSON.stringify(undone.steps));
    assert.deepEqual(stances(name, nodes), ['announce', 'announce', 'announce']);
    assert.deepEqual(house.routing.traffic.get(name)?.regions, {});
    await house.record(back, 'drainService-undrained');
  });

  test('everywhere is against the floor, unless a person forces it', async () => {
    const { name, nodes } = await placed(['eu', 'us']);
    const failure = await refusalOf((await start(name, { regions: null })).result());
    assert.equal(failure.type, 'FloorReached');
    assert.deepEqual(written(name), []);
    const forced = await start(name, {
      regions: null,
      force: true,
      timings: { ...QUICK, moveMs: 200 },
    });
    assert.equal((await forced.result()).outcome, 'drained');
    assert.deepEqual(stances(name, nodes), ['withdraw', 'withdraw']);
  });

  test('a backup that is drained is announced at no time', async () => {
    const regions = [
      { name: 'eu', weight: 1 },
      { name: 'us', weight: 0 },
    ];
    const { name, nodes } = await placed(['eu', 'us'], { regions });
    assert.equal((await endOf(await start(name, { regions: ['us'] }))).outcome, 'drained');
    assert.equal(
      (await endOf(await start(name, { regions: ['us'], undo: true }))).outcome,
      'undrained',
    );
    assert.deepEqual(written(name), [
      `traffic ${name} {"us":"withdraw"} {}`,
      `traffic ${name} {"us":null} {}`,
    ]);
    assert.deepEqual(stances(name, nodes), ['announce', 'withdraw']);
  });

  test('what a failover has raised is not taken away by an undrain', async () => {
    const regions = [
      { name: 'eu', weight: 1 },
      { name: 'us', weight: 0 },
    ];
    const { name, nodes } = await placed(['eu', 'us'], { regions });
    const by = { reason: 'eu is dead', by: workflowId.failover(name), atMs: Date.now() };
    house.routing.traffic.set(name, {
      regions: { eu: { stance: 'withdraw', ...by }, us: { stance: 'announce', ...by } },
      nodes: {},
    });
    const back = await start(name, { undo: true, regions: null });
    assert.equal((await endOf(back)).outcome, 'undrained');
    assert.deepEqual(written(name), [
      `traffic ${name} {"eu":"deprefer"} {}`,
      `traffic ${name} {"eu":null} {}`,
    ]);
    assert.deepEqual(stances(name, nodes), ['announce', 'announce']);
  });

  const interruptions: [string, (call: string) => boolean][] = [
    ['its look', (call) => call === 'routingOf'],
    ['the first command', (call) => call.startsWith('traffic') && call.includes('deprefer')],
    ['its wait for peers', (call) => call === 'seenAt'],
    ['the withdrawal', (call) => call.startsWith('traffic') && call.includes('withdraw')],
    ['its wait for counters', (call) => call.startsWith('countersOf')],
  ];
  for (const [at, matches] of interruptions) {
    test(`cancelled at ${at} the region stands again as before`, async () => {
      const { name, nodes } = await placed(['eu', 'us']);
      const held = holdAt(house, matches);
      const run = await start(name);
      await held.reached;
      await run.cancel();
      held.free();
      assert.ok((await failureOf(run.result())) instanceof CancelledFailure);
      assert.deepEqual(stances(name, nodes), ['announce', 'announce']);
      assert.deepEqual(house.routing.traffic.get(name)?.regions ?? {}, {});
      if (at === 'the withdrawal') await house.record(run, 'drainService-cancelled');
    });
  }

  test('peers that do not move: all is taken back', async () => {
    const { name, nodes } = await placed(['eu', 'us']);
    house.routing.heeding = false;
    const run = await start(name, { timings: { ...QUICK, moveMs: 300 } });
    const failure = await refusalOf(run.result());
    assert.equal(failure.type, 'DrainFailed');
    assert.match(failure.message, /peers have not moved/);
    assert.deepEqual(stances(name, nodes), ['announce', 'announce']);
  });

  test('undrained while it is under way it turns back', async () => {
    const { name, nodes } = await placed(['eu', 'us']);
    const held = holdAt(house, (call) => call === 'seenAt');
    const run = await start(name);
    await held.reached;
    await run.signal(messageNames.undrain, { by: 'ada', reason: 'never mind' });
    held.free();
    assert.equal((await endOf(run)).outcome, 'undrained');
    assert.deepEqual(stances(name, nodes), ['announce', 'announce']);
  });

  test('a service that is not there, and a region that is no name', async () => {
    await house.startShard(shardOf('ghost'));
    const ghost = await refusalOf((await start('ghost')).result());
    assert.equal(ghost.type, 'InvalidInput');
    assert.match(ghost.message, /there is no service ghost/);
    const empty = await refusalOf((await start('ghost', { regions: [] })).result());
    assert.match(empty.message, /regions has to be a list of names/);
  });
});
