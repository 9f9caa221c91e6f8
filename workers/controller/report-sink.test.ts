import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UNSENT_KEPT } from '../../core/edge/jobs';
import type { DriftReport, RepairRecord } from '../../core/model/messages';
import { until } from '../../workflows/testing/until';
import { Handoff } from './handoff';
import { Reports } from './report-sink';

test('of one node’s records as many are kept as an edge keeps, and the reports of others wait for none', async (t) => {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const calls: { what: string; answer: () => void }[] = [];
  const taken = (what: string): Promise<void> =>
    new Promise((answer) => calls.push({ what, answer }));
  const handoff = new Handoff({
    signal: stop.signal,
    ready: async () => undefined,
    onRetry: () => undefined,
    onDone: () => undefined,
  });
  const reports = new Reports({
    handoff,
    temporal: async () => ({
      reportDrift: (_, { node }: DriftReport) => taken(`drift ${node}`),
      reportAgentRepair: ({ node }, { atMs }: RepairRecord) => taken(`record ${node} ${atMs}`),
    }),
    facts: (node) => ({ node, region: null }),
    lifecycles: () => assert.fail(),
    routing: () => assert.fail(),
  });
  const acknowledged: number[] = [];
  const record = (atMs: number): void => {
    const repair = { incidentId: 'i', atMs } as RepairRecord;
    reports.record('fra-1', repair, () => acknowledged.push(atMs));
  };
  for (let atMs = 1; atMs <= 10_000; atMs += 1) record(atMs);
  reports.drift({ node: 'ams-1' } as DriftReport, () => undefined);
  assert.equal(handoff.waiting, 2);
  await until('both nodes have a call', () => calls.length === 2);
  assert.deepEqual(calls.splice(1)[0]?.what, 'drift ams-1');

  // Said again, one that waits is not said twice.
  record(10_000);
  while (acknowledged.at(-1) !== 10_000) {
    await until('the next one is under way', () => calls.length === 1);
    calls.pop()?.answer();
    const before = acknowledged.length;
    await until('it is acknowledged', () => acknowledged.length > before);
  }
  const newest = Array.from({ length: UNSENT_KEPT }, (_, i) => 10_000 - UNSENT_KEPT + 1 + i);
  assert.deepEqual(acknowledged.slice(-UNSENT_KEPT), newest);
  assert.ok(acknowledged.length <= UNSENT_KEPT + 1, 'that which was under way, and those');
  await until('nothing waits but the other one’s', () => handoff.waiting === 1);
});
