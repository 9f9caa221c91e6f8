import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Context, asyncLocalStorage } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { RETRYABLE, Refusal, type RefusalFact } from '../core/model/errors';
import { type ClusterPort, createClusterActivities } from './cluster';
import { type EdgePort, createEdgeActivities } from './edge';
import { type RoutingPort, createRoutingActivities } from './routing';

const FACTS: RefusalFact[] = [
  { code: 'PhaseConflict', node: 'fra-1', phase: 'onboarding', holder: 'node/fra-1/onboard' },
  { code: 'PhaseMoved', node: 'fra-1', expectedRevision: 1, actualRevision: 2 },
  { code: 'StaleFence', shard: 3, ownerRevision: 4 },
  { code: 'StaleRevision', node: 'fra-1', revision: 5, acceptedRevision: 6 },
  { code: 'PlanChanged', node: 'fra-1', approvedHash: 'a', planHash: 'b' },
  { code: 'Frozen', node: 'fra-1', scope: 'global' },
  { code: 'EdgeAbsent', node: 'fra-1', lastSeenMs: null },
  { code: 'NotMarkedForDeletion', node: 'fra-1' },
  { code: 'FloorReached', service: 'dns', announcers: ['fra-1', 'fra-2'], floor: 2 },
  { code: 'PermitsOut', service: 'dns', holders: ['fra-3'], floor: 2 },
  { code: 'GovernorFull', most: 10, windowMs: 60_000, freesAtMs: 1 },
  { code: 'PictureMoved', governorRevision: 7, actualRevision: 8 },
  { code: 'InvalidInput', problems: ['node is not a DNS label'] },
];

/** As much of a Worker as an activity sees: it beats into it, and is cancelled by it. */
class Surroundings {
  beats = 0;
  onBeat = (): void => {};
  info = {
    scheduledTimestampMs: Date.now(),
    /** As the server says it where there is none. */
    scheduleToCloseTimeoutMs: 0,
    startToCloseTimeoutMs: 600_000,
    attempt: 1,
  };
  private readonly abort = new AbortController();

  cancel(): void {
    this.abort.abort();
  }

  run<A extends unknown[], R>(activity: (...args: A) => Promise<R>, ...args: A): Promise<R> {
    const { signal: cancellationSignal } = this.abort;
    const cancelled = new Promise<never>((_, reject) => {
      cancellationSignal.addEventListener('abort', () => reject(new CancelledFailure('CANCELLED')));
    });
    cancelled.catch(() => undefined);
    const heartbeat = (): void => {
      this.beats += 1;
      this.onBeat();
    };
    const { info } = this;
    const context = { cancelled, cancellationSignal, heartbeat, info } as unknown as Context;
    return asyncLocalStorage.run(context, () => activity(...args));
  }
}

/** A port of which only the named verbs are ever called. */
const port = <P>(verbs: Partial<P>): P => verbs as P;
const edge = (verbs: Partial<EdgePort>) => createEdgeActivities(port<EdgePort>(verbs));
const cluster = (verbs: Partial<ClusterPort>) => createClusterActivities(port<ClusterPort>(verbs));

async function thrownBy(run: Promise<unknown>): Promise<ApplicationFailure> {
  const error: unknown = await run.then(
    () => null,
    (e: unknown) => e,
  );
  assert.ok(error instanceof ApplicationFailure, String(error));
  return error;
}

const failing = (error: Error) => {
  const { status } = edge({ status: () => Promise.reject(error) });
  return thrownBy(new Surroundings().run(status));
};

for (const fact of FACTS) {
  test(`${fact.code} becomes a failure of that type, with its facts`, async () => {
    const failure = await failing(new Refusal(fact, 'what to do'));
    assert.equal(failure.type, fact.code);
    assert.equal(failure.message, 'what to do');
    assert.deepEqual(failure.details, [fact]);
    assert.equal(failure.nonRetryable, !RETRYABLE[fact.code]);
  });
}

test('each code has its test', () => {
  assert.deepEqual(FACTS.map(({ code }) => code).sort(), Object.keys(RETRYABLE).sort());
});

test('a refusal that an update came back with is found below its wrapper', async () => {
  const [fact] = FACTS;
  const inner = ApplicationFailure.create({
    type: 'PhaseConflict',
    message: 'in the hands of another',
    details: [fact],
    nonRetryable: true,
  });
  const failure = await failing(new Error('Workflow Update failed', { cause: inner }));
  assert.equal(failure.type, 'PhaseConflict');
  assert.equal(failure.nonRetryable, false, 'the table decides, not whoever threw it');
});

test('another error passes as it is', async () => {
  const error = new TypeError('a bug');
  const { status } = edge({ status: () => Promise.reject(error) });
  await assert.rejects(new Surroundings().run(status), error);
});

test('input is checked before the port is called', async () => {
  const { reconcile } = edge({});
  const request = {
    node: 'Not A Name',
    incidentId: 'i',
    fence: { workflowId: 'w', runId: 'r', revision: 1, planHash: null },
    stages: null,
  };
  const failure = await thrownBy(new Surroundings().run(reconcile, request));
  assert.equal(failure.type, 'InvalidInput');
  assert.equal(failure.nonRetryable, true);
  const { auditShard } = cluster({});
  await thrownBy(new Surroundings().run(auditShard, { shard: 256 }));
});

test('a wait beats and hears of its cancellation', async () => {
  const environment = new Surroundings();
  environment.onBeat = () => environment.cancel();
  const { awaitEdge } = cluster({
    awaitEdge: (_node, _revision, ended) =>
      new Promise((_, reject) => {
        ended.addEventListener('abort', () => reject(new Error('the port was told to stop')));
      }),
  });
  await assert.rejects(
    environment.run(awaitEdge, { node: 'fra-1', revision: 1 }),
    CancelledFailure,
  );
  assert.equal(environment.beats, 1);
});

for (const limit of ['scheduleToCloseTimeoutMs', 'startToCloseTimeoutMs'] as const) {
  test(`a wait ends before its ${limit}, so that it can say what is missing`, async () => {
    const environment = new Surroundings();
    environment.info[limit] = 100;
    const absent = new Refusal({ code: 'EdgeAbsent', node: 'fra-1', lastSeenMs: null }, 'absent');
    const { awaitEdge } = cluster({
      awaitEdge: (_node, _revision, ended) =>
        new Promise((_, reject) => {
          ended.addEventListener('abort', () => reject(absent));
        }),
    });
    const failure = await thrownBy(environment.run(awaitEdge, { node: 'fra-1', revision: 1 }));
    assert.deepEqual([failure.type, failure.nonRetryable], ['EdgeAbsent', false]);
  });
}

test('a phase passes on from a holder that is refused for and not running, and from no other', async () => {
  const conflict = (holder: string | null) =>
    new Refusal({ code: 'PhaseConflict', node: 'fra-1', phase: 'onboarding', holder }, 'held');
  const ask = async (holder: string | null, running: boolean): Promise<unknown[]> => {
    const takeOvers: (string | null)[] = [];
    const { requestPhase } = cluster({
      isRunning: async () => running,
      requestPhase: async (_node, _phase, _holder, takeOver) => {
        takeOvers.push(takeOver);
        if (takeOver === null) throw conflict(holder);
        return { phaseRevision: 7 };
      },
    });
    const request = { node: 'fra-1', phase: 'decommissioning', holder: 'me' } as const;
    const result = await new Surroundings().run(requestPhase, request).then(
      (granted) => granted.phaseRevision,
      (error: ApplicationFailure) => error.type,
    );
    return [result, ...takeOvers];
  };
  assert.deepEqual(await ask('a', false), [7, null, 'a']);
  assert.deepEqual(await ask('a', true), ['PhaseConflict', null]);
  assert.deepEqual(
    await ask(null, false),
    ['PhaseConflict', null],
    'refused by order, not by a holder',
  );
});

test('permits that nobody gives back are waited for, but not for ever', async () => {
  const fact: RefusalFact = { code: 'PermitsOut', service: 'dns', holders: ['fra-3'], floor: 2 };
  const refuse = async (): Promise<never> => {
    throw new Refusal(fact, 'permits are out');
  };
  const activities = createRoutingActivities(port<RoutingPort>({ commandNode: refuse }));
  const wish = { reason: 'a test', by: 'ada', force: false };
  const picture = { governorRevision: 1, announcers: {} };
  for (const attempt of [1, 11, 12, 40]) {
    const around = new Surroundings();
    around.info.attempt = attempt;
    const command = { ...wish, node: 'fra-1', stance: 'withdraw' as const, picture };
    const failure = await around.run(activities.commandNode, command).catch((e: unknown) => e);
    assert.ok(failure instanceof ApplicationFailure);
    assert.equal(failure.nonRetryable, attempt >= 12, `attempt ${attempt}`);
    assert.deepEqual([failure.type, failure.details], ['PermitsOut', [fact]]);
  }
});
