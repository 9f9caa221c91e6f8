import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { KeyValue } from '../../adapters/etcd/port';
import type { Phase } from '../../core/model/edge-spec';
import { keys } from '../../core/model/keys';
import { valueText } from '../../core/model/values';
import { until } from '../../workflows/testing/until';
import { DesiredState } from './desired';
import { Handoff } from './handoff';
import { Lifecycles } from './lifecycles';
import { nodeResource } from './testing/resources';

/** What etcd says of fra-1 is told by the test; starts are remembered, not made. */
function world(t: TestContext) {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const desired = new DesiredState();
  const started: string[] = [];
  /** A run that has let go of its phase and not ended yet. */
  const ending = { still: false };
  /** Nodes whose edge is not connected. */
  const absent = new Set<string>();
  /** Whether there is a way to Temporal, and whether the node is ours. */
  const is = { there: Promise.resolve(), ours: true };
  const handoff = new Handoff({
    signal: stop.signal,
    ready: () => is.there,
    onRetry: () => undefined,
    onDone: () => undefined,
  });
  const lifecycles = new Lifecycles({
    desired,
    owns: () => is.ours,
    connected: (node) => !absent.has(node),
    handoff,
    temporal: async () => ({
      startOnboard: async (_facts, { revision }, join) => {
        if (ending.still && !join) throw new Error('already started');
        started.push(`onboard ${revision}${join ? ', joining' : ''}`);
      },
      startDecommission: async (_facts, { revision }) => {
        started.push(`decommission ${revision}`);
      },
    }),
  });
  const entryOf = (key: string, modRevision: number, value: string): KeyValue => {
    const meta = { createRevision: 1, version: 1, leaseId: null };
    return { key, modRevision, value: Buffer.from(value), ...meta };
  };
  const put = (key: string, modRevision: number, value: string, node = 'fra-1'): void => {
    desired.apply({ kind: 'put', entry: entryOf(key, modRevision, value) });
    lifecycles.check(node);
  };
  const resource = nodeResource('fra-1', 1);
  return {
    is,
    handoff,
    ending,
    lifecycles,
    absent,
    /** What a controller finds that begins, with whatever stands for the phase. */
    found: (phase: string) => {
      const node = entryOf(keys.node('fra-1'), 1, valueText({ resource, deletionRevision: null }));
      const entries = [node, entryOf(keys.phase('fra-1'), 2, phase)];
      desired.apply({ kind: 'snapshot', revision: 2, entries });
      lifecycles.check('fra-1');
    },
    /** Node number `revision`, and the phase of another one. */
    another: (revision: number) => {
      const value = valueText({ resource, deletionRevision: null });
      put(keys.node(`n${revision}`), revision, value, `n${revision}`);
    },
    phaseOf: (revision: number, phase: Phase) =>
      put(keys.phase(`n${revision}`), revision, valueText({ phase }), `n${revision}`),
    node: (revision: number, deletionRevision: number | null = null) =>
      put(keys.node('fra-1'), revision, valueText({ resource, deletionRevision })),
    phase(phase: Phase | null, revision: number): void {
      const key = keys.phase('fra-1');
      if (phase !== null) return put(key, revision, valueText({ phase }));
      desired.apply({ kind: 'delete', key, modRevision: revision });
      lifecycles.check('fra-1');
    },
    /** All starts so far, once there are as many and nothing is on its way. */
    starts: async (count: number) => {
      await until('they were made', () => started.length >= count && handoff.waiting === 0);
      return started;
    },
  };
}

test('what failed is not begun again for the same wish, but for a reason', async (t) => {
  const { node, phase, starts, lifecycles } = world(t);
  node(1);
  assert.deepEqual(await starts(1), ['onboard 1']);
  phase('onboarding', 2);
  phase(null, 3);
  assert.deepEqual(await starts(1), ['onboard 1']);
  lifecycles.retry('fra-1');
  assert.deepEqual(await starts(2), ['onboard 1', 'onboard 1']);
  phase('onboarding', 4);
  lifecycles.retry('fra-1');
  assert.equal((await starts(3)).at(-1), 'onboard 1, joining');
  phase(null, 5);
  assert.equal((await starts(3)).length, 3, 'joined was what was begun for the same wish');
  node(6);
  assert.equal((await starts(4)).at(-1), 'onboard 6');
  phase('active', 7);
  node(8);
  node(9, 8);
  assert.deepEqual((await starts(5)).slice(4), ['decommission 8']);
});

test('what was mended while an onboarding failed is tried when that has ended', async (t) => {
  const { node, phase, starts, ending } = world(t);
  node(1);
  await starts(1);
  phase('onboarding', 2);
  node(3);
  assert.deepEqual(await starts(2), ['onboard 1', 'onboard 3, joining']);
  phase('decommissioning', 4);
  ending.still = true;
  phase(null, 5);
  ending.still = false;
  assert.deepEqual((await starts(3)).slice(2), ['onboard 3']);
  phase('onboarding', 6);
  phase(null, 7);
  assert.equal((await starts(3)).length, 3, 'it has failed itself now');
});

test('onboardings begin a few at a time; one that waits for its edge holds nobody up', async (t) => {
  const { another, phaseOf, starts, absent } = world(t);
  for (let i = 1; i <= 40; i += 1) another(i);
  assert.equal((await starts(32)).length, 32);
  phaseOf(5, 'onboarding');
  assert.equal((await starts(32)).length, 32, 'it is not done yet');
  phaseOf(5, 'active');
  assert.equal((await starts(33)).at(-1), 'onboard 33');
  absent.add('n7');
  phaseOf(7, 'onboarding');
  assert.equal((await starts(34)).at(-1), 'onboard 34');
});

test('a phase that can not be read is none that is missing: nothing is onboarded anew', async (t) => {
  const { found, phase, starts } = world(t);
  found('{"phase":"of a later version"}');
  assert.deepEqual(await starts(0), []);
  phase(null, 3);
  assert.deepEqual(await starts(1), ['onboard 1']);
});

test('what waits for Temporal while the node goes to another controller is its to ask; and ours once it is back', async (t) => {
  const { node, is, handoff, starts, lifecycles } = world(t);
  let arrive = (): void => undefined;
  is.there = new Promise<void>((resolve) => (arrive = resolve));
  node(1);
  assert.equal(handoff.waiting, 1);
  is.ours = false;
  lifecycles.check('fra-1');
  assert.equal(handoff.waiting, 0);
  arrive();
  assert.deepEqual(await starts(0), []);
  is.ours = true;
  lifecycles.check('fra-1');
  assert.deepEqual(await starts(1), ['onboard 1']);
});
