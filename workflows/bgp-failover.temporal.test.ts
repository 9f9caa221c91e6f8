import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { CancelledFailure } from '@temporalio/common';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import { messageNames } from '../core/model/messages';
import type { FailoverEvidence, FailoverInput } from '../core/model/routing-messages';
import { shardOf } from '../core/ring/shard';
import type { bgpFailover } from './bgp-failover';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import {
  FAILOVER_TIMINGS,
  PRIMARY_AND_BACKUP,
  endOf,
  failureOf,
  holdAt,
  inState,
  refusalOf,
  serving,
} from './testing/routing-house';
import { until } from './testing/until';

describe('bgpFailover', { skip: withoutTemporal }, () => {
  let house: House;
  let names = 0;
  before(async () => void (house = await House.open()));
  afterEach(() => {
    house.routing.before = () => {};
    house.routing.observed = true;
  });
  after(() => house.close());

  const placed = async (
    regions: string[],
    change: Parameters<typeof serving>[3] = { regions: PRIMARY_AND_BACKUP },
  ): Promise<{ name: string; nodes: string[] }> => {
    const name = `any-${++names}`;
    await house.startShard(shardOf(name));
    return { name, nodes: await serving(house, name, regions, change) };
  };
  const told = (region: string, state: 'up' | 'down'): FailoverEvidence => ({
    atMs: Date.now(),
    region,
    state,
    what: `BFD of ${region} is ${state}`,
  });
  /** Of eu, by an owner of its shard. */
  const said = (state: 'up' | 'down', owner: number, sequence: number, atMs = Date.now()) => ({
    ...told('eu', state),
    ...{ atMs, order: { incarnation: 1, owner, sequence } },
  });
  const start = (service: string, change: Partial<FailoverInput> = {}) =>
    house.client.start<typeof bgpFailover>('bgpFailover', {
      workflowId: workflowId.failover(service),
      taskQueue: WORKFLOW_QUEUE,
      workflowTaskTimeout: '2s',
      args: [
        {
          service,
          evidence: told('eu', 'down'),
          by: 'controller',
          timings: FAILOVER_TIMINGS,
          ...change,
        },
      ],
    });
  const stances = (service: string, nodes: string[]) =>
    nodes.map((node) => house.routing.stanceOf(node, service));
  const written = (service: string): string[] =>
    house.routing.written
      .filter((call) => call.startsWith(`traffic ${service} `))
      .map((call) => call.slice(`traffic ${service} `.length));
  const cut = (nodes: string[]): void => {
    for (const node of nodes) house.routing.set(node, { connected: false, alive: false });
  };
  const heal = (nodes: string[]): void => {
    for (const node of nodes) house.routing.set(node, { connected: true, alive: true });
  };

  test('a dead region: the backup announces, is seen, and the command is there; back in stages', async () => {
    const { name, nodes } = await placed(['eu', 'eu', 'us']);
    const [one = '', two = '', three = ''] = nodes;
    cut([one, two]);
    const run = await start(name);
    const { steps } = await inState(run, 'failedOver');
    assert.deepEqual(written(name), ['{"us":"announce"} {}', '{"eu":"withdraw"} {}']);
    assert.equal(house.routing.stanceOf(three, name), 'announce');
    assert.match(steps[0]?.evidence ?? '', /BFD of eu is down/);
    assert.match(
      steps.find(({ what }) => what === 'edges of eu')?.evidence ?? '',
      /no edge of it is connected: commanded, not waited for/,
    );
    assert.match(
      steps.find(({ what }) => what === 'announced at the peers')?.evidence ?? '',
      new RegExp(`at obs: ${three}`),
    );

    heal([one, two]);
    assert.deepEqual(stances(name, nodes), ['withdraw', 'withdraw', 'announce'], 'not by itself');
    await run.signal(messageNames.evidence, told('eu', 'up'));
    const { outcome } = await endOf(run);
    assert.equal(outcome, 'returned');
    assert.deepEqual(written(name).slice(2), [
      `{} {"${one}":"announce"}`,
      `{"eu":null} {"${one}":null}`,
      '{"us":"deprefer"} {}',
      '{"us":"withdraw"} {}',
      '{"us":null} {}',
    ]);
    assert.deepEqual(stances(name, nodes), ['announce', 'announce', 'withdraw']);
    const { typedSearchAttributes } = await run.describe();
    const key = { name: 'AetherService', type: 'KEYWORD' } as const;
    assert.equal(typedSearchAttributes.get(key), name);
    await house.record(run, 'bgpFailover-dead');
  });

  test('a region that lives is shut down gracefully, after the others are seen to be enough', async () => {
    const { name, nodes } = await placed(['eu', 'us', 'us'], {
      regions: [
        { name: 'eu', weight: 50 },
        { name: 'us', weight: 50 },
      ],
      minAnnouncers: 2,
    });
    const run = await start(name);
    const { steps } = await inState(run, 'failedOver');
    assert.deepEqual(written(name), ['{"eu":"deprefer"} {}', '{"eu":"withdraw"} {}']);
    assert.deepEqual(stances(name, nodes), ['withdraw', 'announce', 'announce']);
    const names = steps.map(({ what }) => what);
    assert.ok(names.indexOf('headroom') < names.indexOf('command eu: deprefer'), String(names));
    assert.match(
      steps.find(({ what }) => what === 'headroom')?.evidence ?? '',
      /2 of 2 needed announce it/,
    );
    await run.signal(messageNames.failBack, { by: 'ada', reason: 'it is well' });
    assert.equal((await endOf(run)).outcome, 'returned');
    assert.deepEqual(stances(name, nodes), ['announce', 'announce', 'announce']);
    await house.record(run, 'bgpFailover-weighted');
  });

  test('at the floor the region stays the last choice, and the step says why', async () => {
    const { name, nodes } = await placed(['eu', 'eu', 'us'], {
      regions: PRIMARY_AND_BACKUP,
      minAnnouncers: 2,
    });
    const run = await start(name);
    const { steps } = await inState(run, 'failedOver');
    assert.deepEqual(stances(name, nodes), ['deprefer', 'deprefer', 'announce']);
    const step = steps.find(({ what }) => what === 'command eu: withdraw');
    assert.equal(step?.outcome, 'failed');
    assert.match(step?.evidence ?? '', /its floor is 2/);
    await run.signal(messageNames.evidence, told('eu', 'up'));
    assert.equal((await endOf(run)).outcome, 'returned');
    assert.deepEqual(stances(name, nodes), ['announce', 'announce', 'withdraw']);
    await house.record(run, 'bgpFailover-floor');
  });

  test('where nobody can take over, nothing is taken away; it is tried again', async () => {
    const { name, nodes } = await placed(['eu', 'us']);
    const [, backup = ''] = nodes;
    cut([backup]);
    const timings = { ...FAILOVER_TIMINGS, followMs: 200 };
    const run = await start(name, { timings });
    await inState(run, 'nobodyTakesOver');
    assert.equal(house.routing.stanceOf(nodes[0] ?? '', name), 'announce');
    heal([backup]);
    await inState(run, 'failedOver');
    assert.deepEqual(stances(name, nodes), ['withdraw', 'announce']);
    await run.signal(messageNames.evidence, told('eu', 'up'));
    await endOf(run);
    await house.record(run, 'bgpFailover-stuck');
  });

  test('a return that fails goes back, and is held down for longer', async () => {
    const { name, nodes } = await placed(['eu', 'eu', 'us']);
    const run = await start(name, { timings: { ...FAILOVER_TIMINGS, stageMs: 3_000 } });
    await inState(run, 'failedOver');
    await run.signal(messageNames.evidence, told('eu', 'up'));
    await until(
      'the first node announces',
      () => house.routing.stanceOf(nodes[0] ?? '', name) === 'announce',
    );
    await run.signal(messageNames.evidence, told('eu', 'down'));
    await inState(run, 'failedOver');
    assert.deepEqual(stances(name, nodes), ['withdraw', 'withdraw', 'announce']);
    const upAtMs = Date.now();
    await run.signal(messageNames.evidence, told('eu', 'up'));
    const { next } = await inState(run, 'holdDown');
    assert.ok((next?.atMs ?? 0) - upAtMs >= 600, 'twice as long');
    await run.cancel();
    assert.ok((await failureOf(run.result())) instanceof CancelledFailure);
    assert.deepEqual(stances(name, nodes), ['announce', 'announce', 'withdraw']);
    await house.record(run, 'bgpFailover-relapsed');
  });

  test('a region that falls again soon after its return is held down for longer', async () => {
    const { name, nodes } = await placed(['eu', 'us']);
    const run = await start(name, { timings: { ...FAILOVER_TIMINGS, settleMs: 30_000 } });
    await inState(run, 'failedOver');
    await run.signal(messageNames.evidence, told('eu', 'up'));
    await inState(run, 'settling');
    await run.signal(messageNames.evidence, told('eu', 'down'));
    await inState(run, 'failedOver');
    const upAtMs = Date.now();
    await run.signal(messageNames.evidence, told('eu', 'up'));
    const { next } = await inState(run, 'holdDown');
    assert.ok((next?.atMs ?? 0) - upAtMs >= 600, 'twice as long');
    await run.cancel();
    await failureOf(run.result());
    assert.deepEqual(stances(name, nodes), ['announce', 'withdraw']);
  });

  test('beside a planned move another region fails over, and returns by itself', async () => {
    const weights = ['eu', 'us', 'ap'].map((region) => ({ name: region, weight: 1 }));
    const { name, nodes } = await placed(['eu', 'us', 'ap'], { regions: weights });
    const run = await start(name, { planned: true, by: 'ada' });
    await inState(run, 'failedOver');
    await run.signal(messageNames.evidence, told('us', 'down'));
    await until('us is away', () => house.routing.stanceOf(nodes[1] ?? '', name) === 'withdraw');
    await run.signal(messageNames.evidence, told('us', 'up'));
    await until('us is back', () => house.routing.stanceOf(nodes[1] ?? '', name) === 'announce');
    assert.deepEqual(stances(name, nodes), ['withdraw', 'announce', 'announce']);
    await run.signal(messageNames.failBack, { by: 'ada', reason: 'done' });
    assert.equal((await endOf(run)).outcome, 'returned');
    assert.deepEqual(stances(name, nodes), ['announce', 'announce', 'announce']);
  });

  test('a word to return that comes without a name brings all regions back', async () => {
    const weights = ['eu', 'us', 'ap'].map((region) => ({ name: region, weight: 1 }));
    const { name, nodes } = await placed(['eu', 'us', 'ap'], { regions: weights });
    const run = await start(name);
    await inState(run, 'failedOver');
    await run.signal(messageNames.evidence, told('us', 'down'));
    await until('us is away', () => house.routing.stanceOf(nodes[1] ?? '', name) === 'withdraw');
    await inState(run, 'failedOver');
    await run.signal(messageNames.failBack);
    assert.equal((await endOf(run)).outcome, 'returned');
    assert.deepEqual(stances(name, nodes), ['announce', 'announce', 'announce']);
  });

  test('what a terminated run has left is taken up by the next, by bad news or by good', async () => {
    const { name, nodes } = await placed(['eu', 'us']);
    const first = await start(name);
    await inState(first, 'failedOver');
    await first.terminate('a test');
    const second = await start(name);
    await inState(second, 'failedOver');
    assert.equal(written(name).length, 3, 'all that it would command is commanded');
    await second.terminate('a test');
    assert.deepEqual(stances(name, nodes), ['withdraw', 'announce']);
    const third = await start(name, { evidence: told('eu', 'up') });
    assert.equal((await endOf(third)).outcome, 'returned');
    assert.deepEqual(stances(name, nodes), ['announce', 'withdraw']);
    assert.deepEqual(house.routing.traffic.get(name)?.regions, {});
    const fourth = await start(name, { evidence: told('eu', 'up') });
    assert.equal((await endOf(fourth)).outcome, 'nothingToDo');
  });

  test('a planned move without headroom is refused, and leaves no trace', async () => {
    const { name, nodes } = await placed(['eu', 'eu', 'us'], {
      regions: PRIMARY_AND_BACKUP,
      minAnnouncers: 2,
    });
    const planned = { planned: true, by: 'ada', evidence: told('eu', 'down') };
    const run = await start(name, planned);
    const failure = await refusalOf(run.result());
    assert.equal(failure.type, 'FailoverFailed');
    assert.match(failure.message, /No headroom: 1 announce it, it needs 2/);
    assert.deepEqual(stances(name, nodes), ['announce', 'announce', 'withdraw']);
    assert.deepEqual(house.routing.traffic.get(name)?.regions, {});
    await house.record(run, 'bgpFailover-noHeadroom');
  });

  test('a backup that the floor needs since goes on, as the last choice', async () => {
    const { name, nodes } = await placed(['eu', 'eu', 'us'], {
      regions: PRIMARY_AND_BACKUP,
      minAnnouncers: 2,
    });
    const run = await start(name);
    await inState(run, 'failedOver');
    cut([nodes[1] ?? '']);
    await run.signal(messageNames.evidence, told('eu', 'up'));
    const { outcome, steps } = await endOf(run);
    assert.equal(outcome, 'returned');
    assert.equal(house.routing.stanceOf(nodes[2] ?? '', name), 'deprefer');
    assert.match(steps.at(-1)?.evidence ?? '', /its floor is 2/);
  });

  test('a planned move counts packets where a capacity is stated', async () => {
    const { name, nodes } = await placed(['eu', 'us']);
    const planned = { planned: true, by: 'ada', capacityPps: 1 };
    const failure = await refusalOf((await start(name, planned)).result());
    assert.match(failure.message, /packets\/s for each of 1, one carries 1/);
    const run = await start(name, { ...planned, capacityPps: 1_000_000 });
    await inState(run, 'failedOver');
    assert.deepEqual(stances(name, nodes), ['withdraw', 'announce']);
    await run.signal(messageNames.evidence, told('eu', 'up'));
    await run.signal(messageNames.failBack, { by: 'ada', reason: 'done' });
    assert.equal((await endOf(run)).outcome, 'returned');
  });

  test('a backup that fails as well is followed by the next', async () => {
    const { name, nodes } = await placed(['eu', 'us', 'ap'], {
      regions: [...PRIMARY_AND_BACKUP, { name: 'ap', weight: 0 }],
    });
    const run = await start(name);
    await inState(run, 'failedOver');
    assert.deepEqual(stances(name, nodes), ['withdraw', 'announce', 'withdraw']);
    await run.signal(messageNames.evidence, told('us', 'down'));
    await until('ap serves', () => house.routing.stanceOf(nodes[2] ?? '', name) === 'announce');
    await until('us is away', () => house.routing.stanceOf(nodes[1] ?? '', name) === 'withdraw');
    await run.signal(messageNames.evidence, told('us', 'up'));
    await run.signal(messageNames.evidence, told('eu', 'up'));
    assert.equal((await endOf(run)).outcome, 'returned');
    assert.deepEqual(stances(name, nodes), ['announce', 'withdraw', 'withdraw']);
    await house.record(run, 'bgpFailover-twice');
  });

  test('a backup that fails while it stands by is not announced by that', async () => {
    const { name, nodes } = await placed(['eu', 'us']);
    const run = await start(name, { evidence: told('us', 'down') });
    const { outcome, steps } = await endOf(run);
    assert.equal(outcome, 'nothingToDo');
    assert.match(steps.at(-1)?.evidence ?? '', /it announces nothing/);
    assert.deepEqual(written(name), []);
    assert.deepEqual(stances(name, nodes), ['announce', 'withdraw']);
    await house.record(run, 'bgpFailover-standby');
  });

  test('a service that is not there is refused', async () => {
    await house.startShard(shardOf('ghost'));
    const failure = await refusalOf((await start('ghost')).result());
    assert.equal(failure.type, 'InvalidInput');
  });

  const interruptions: [string, (service: string) => (call: string) => boolean][] = [
    ['the first command', (s) => (call) => call.startsWith(`traffic ${s} {"us":"announce"}`)],
    ['its look', () => (call) => call === 'routingOf'],
    ['its wait for peers', () => (call) => call === 'seenAt'],
    ['the shutdown', (s) => (call) => call.startsWith(`traffic ${s} {"eu":"deprefer"}`)],
    ['the withdrawal', (s) => (call) => call.startsWith(`traffic ${s} {"eu":"withdraw"}`)],
  ];
  for (const [at, matches] of interruptions) {
    test(`cancelled at ${at} all is taken back`, async () => {
      const { name, nodes } = await placed(['eu', 'us']);
      const held = holdAt(house, matches(name));
      const run = await start(name);
      await held.reached;
      await run.cancel();
      held.free();
      assert.ok((await failureOf(run.result())) instanceof CancelledFailure);
      assert.deepEqual(stances(name, nodes), ['announce', 'withdraw']);
      assert.deepEqual(house.routing.traffic.get(name)?.regions ?? {}, {});
    });
  }

  test('cancelled while the region is dead, the backup goes on and the failure says so', async () => {
    const { name, nodes } = await placed(['eu', 'us']);
    cut([nodes[0] ?? '']);
    const run = await start(name, { timings: { ...FAILOVER_TIMINGS, followMs: 300 } });
    await inState(run, 'failedOver');
    await run.cancel();
    const failure = await refusalOf(run.result());
    assert.equal(failure.type, 'UndoFailed');
    assert.match(failure.message, /eu does not announce yet, so us goes on/);
    assert.equal(house.routing.stanceOf(nodes[1] ?? '', name), 'announce');
  });

  test('clocks may step: evidence counts in the order of owners and of their words', async () => {
    const { name } = await placed(['eu', 'us']);
    const run = await start(name, { evidence: said('down', 70, 1, 9e12) });
    await inState(run, 'failedOver');
    await run.signal(messageNames.evidence, said('up', 90, 1, 1_000));
    await run.signal(messageNames.evidence, said('down', 70, 2, 9e12));
    assert.equal((await endOf(run)).outcome, 'returned');
    await house.record(run, 'bgpFailover-stepped');
  });

  test('a person says that a region is well: what a former owner said before comes late still', async () => {
    const { name } = await placed(['eu', 'us']);
    const run = await start(name, { evidence: said('down', 70, 1) });
    await inState(run, 'failedOver');
    // The last one again, since its answer was lost.
    const words = [said('down', 90, 1), told('eu', 'up'), said('down', 70, 2), said('down', 90, 1)];
    for (const word of words) await run.signal(messageNames.evidence, word);
    assert.equal((await endOf(run)).outcome, 'returned');
    await house.record(run, 'bgpFailover-said-again');
  });

  test('evidence told twice, or of nothing, moves nothing', async () => {
    const { name } = await placed(['eu', 'us']);
    const run = await start(name);
    await run.signal(messageNames.evidence, told('eu', 'down'));
    await run.signal(messageNames.evidence, { region: 7 });
    await inState(run, 'failedOver');
    assert.equal(written(name).filter((call) => call.includes('withdraw')).length, 1);
    await run.signal(messageNames.evidence, told('eu', 'up'));
    await endOf(run);
  });
});
