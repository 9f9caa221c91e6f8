import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterStatus, ControllerStatus } from '../core/model/views';
import { clusterChecks } from './commands/doctor';
import { makeOutput } from './output';
import { statusText } from './show-status';

const out = makeOutput({ json: false, colour: false });
const NOW_MS = 1_000_000;

const member = (id: string, heard: boolean): ControllerStatus => ({
  ...{ id, heard, draining: false, shards: 1, edges: 0, certificates: null },
  ...{ edgeAddress: `${id}:7700`, adminAddress: `${id}:7702` },
});

const status = (over: Partial<ClusterStatus>): ClusterStatus => ({
  ...{ controller: 'c1', version: '1', clusterIncarnation: 1, shardsOwned: 1 },
  ...{ controllers: [member('c1', true)], nodes: { total: 1, connected: 1, converged: 1 } },
  etcd: { ok: true, endpoints: ['https://e1:2379'], problem: null },
  temporal: { ok: true, address: 't:7233', namespace: 'default', uiUrl: null },
  ...{ certificates: [], frozen: false },
  ...over,
});

const found = (over: Partial<ClusterStatus>): [what: string, found: string][] =>
  clusterChecks(status(over), NOW_MS)
    .filter(({ state }) => state === 'missing')
    .map(({ what, found: is }) => [what, is]);

test('what a controller cannot know is no number, and why etcd does not answer is told', () => {
  const problem = 'https://e1:2379: tlsv1 alert unknown ca';
  const blind = { nodes: null, etcd: { ok: false, endpoints: ['https://e1:2379'], problem } };
  const text = statusText(status(blind), out, NOW_MS);
  assert.match(text, /^nodes +unknown: etcd was not in reach since this controller started$/m);
  assert.match(text, /^etcd +DOES NOT ANSWER .*: https:\/\/e1:2379: tlsv1 alert unknown ca$/m);
  assert.deepEqual(found(blind), [['its etcd', `does not answer (${problem})`]]);
});

test('a controller that is dead, or is not heard, is a line of status and of doctor', () => {
  const dead = [{ id: 'c2', sinceMs: NOW_MS - 25_000 }];
  const text = statusText(status({ dead }), out, NOW_MS);
  assert.match(text, /^c2 is dead for 25 s: its lease is gone\.$/m);
  assert.deepEqual(found({ dead, controllers: [member('c1', true), member('c3', false)] }), [
    ['controller c3', 'has a lease, and is not heard by c1'],
    ['controller c2', 'dead for 25 s: its lease is gone'],
  ]);
  assert.deepEqual(found({}), []);
});
