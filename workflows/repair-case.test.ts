import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DriftReport, EdgeStatus, RepairRecord } from '../core/model/messages';
import { DEFAULT_REPAIR } from '../core/model/node';
import { RepairCase } from './repair-case';
import { ScriptedEdge, driftOf, FINDING } from './testing/scripted';

const LINGER_MS = 30_000;
const open = (): RepairCase => new RepairCase('fra-1', LINGER_MS, 0);
const drift = (change: Partial<DriftReport> = {}): DriftReport => driftOf('fra-1', change);
const propose = { ...DEFAULT_REPAIR, policy: 'propose' as const };
const globally = { local: false, node: false, global: true };
const status = async (change: Partial<EdgeStatus> = {}): Promise<EdgeStatus> => {
  const edge = new ScriptedEdge('fra-1');
  edge.findings = [FINDING];
  return { ...(await edge.status()), ...change };
};

test('a report is repaired at once, then it lingers and is done', () => {
  const c = open();
  c.drift(drift());
  assert.equal(c.next(1_000).do, 'repair');
  assert.deepEqual(c.next(1_000), { do: 'wait', ms: LINGER_MS });
  assert.deepEqual(c.next(11_000), { do: 'wait', ms: LINGER_MS - 10_000 });
  assert.equal(c.next(31_000).do, 'done');
});

test('of many reports only the newest of the newest spec is acted on', () => {
  const c = open();
  c.drift(drift({ revision: 7, planHash: 'old' }));
  c.drift(drift({ revision: 7, planHash: 'new' }));
  c.drift(drift({ revision: 6, planHash: 'of the spec before' }));
  const task = c.next(0);
  assert.ok(task.do === 'repair');
  assert.equal(task.report.planHash, 'new');
  assert.equal(c.next(0).do, 'wait');
});

test('a report of another node, or a broken one, is not acted on', () => {
  const c = open();
  c.drift(driftOf('ams-1'));
  c.drift(null as unknown as DriftReport);
  c.drift({ node: 'fra-1' } as DriftReport);
  c.drift({ ...drift(), findings: [null] } as unknown as DriftReport);
  c.drift({ ...drift(), policy: undefined } as unknown as DriftReport);
  c.drift({ ...drift(), plan: undefined } as unknown as DriftReport);
  c.repairedByAgent(null as unknown as RepairRecord);
  assert.equal(c.next(0).do, 'wait');
});

test('a proposal waits without a timer and is repaired by the approval of its plan alone', () => {
  const c = open();
  c.drift(drift({ policy: propose }));
  const noted = c.next(0);
  assert.ok(noted.do === 'note' && noted.decision.kind === 'propose');
  assert.deepEqual(c.next(0), { do: 'wait', ms: null });
  assert.equal(c.proposed, 'plan-1');
  c.approve({ planHash: 'plan-1', by: 'ada' });
  const task = c.next(1);
  assert.ok(task.do === 'repair');
  assert.equal(task.planHash, 'plan-1');
  assert.equal(c.proposed, null);
});

test('an approval does not survive a new plan', () => {
  const c = open();
  c.drift(drift({ policy: propose }));
  c.next(0);
  c.approve({ planHash: 'plan-1', by: 'ada' });
  c.drift(drift({ policy: propose, planHash: 'plan-2' }));
  assert.equal(c.next(1).do, 'note');
  assert.equal(c.proposed, 'plan-2');
  assert.equal(c.next(1).do, 'wait');
});

test('frozen waits; reconsidered, it asks the edge and repairs what is there now', async () => {
  const c = open();
  c.drift(drift({ frozen: globally }));
  assert.equal(c.next(0).do, 'note');
  assert.deepEqual(c.next(0), { do: 'wait', ms: null });
  c.reconsider();
  const asked = c.next(5);
  assert.ok(asked.do === 'refresh');
  c.refreshed(
    asked.report,
    await status({ accepted: { revision: 9, hash: 'h', phase: 'active' } }),
    5,
  );
  const task = c.next(5);
  assert.ok(task.do === 'repair');
  assert.equal(task.report.revision, 9);
});

test('reconsidered without an answer, or with nothing left to do, it ends', async () => {
  for (const answer of [null, await status({ findings: [] }), await status({ accepted: null })]) {
    const c = open();
    c.drift(drift({ frozen: globally }));
    c.next(0);
    c.reconsider();
    const asked = c.next(5);
    assert.ok(asked.do === 'refresh');
    c.refreshed(asked.report, answer, 5);
    assert.equal(c.next(5 + LINGER_MS).do, 'done');
  }
});

test('an exhausted budget waits until it frees, then asks again, and not in a circle', async () => {
  const c = open();
  c.drift(drift({ budget: { used: 5, freesAtMs: 60_000 } }));
  assert.equal(c.next(0).do, 'note');
  assert.deepEqual(c.next(0), { do: 'wait', ms: 60_000 });
  const asked = c.next(60_000);
  assert.ok(asked.do === 'refresh');
  const still = await status({ budget: { attempts: 5, used: 5, perMs: 600_000 } });
  c.refreshed(asked.report, still, 60_000);
  assert.equal(c.next(60_000).do, 'note');
  const wait = c.next(60_000);
  assert.ok(wait.do === 'wait' && wait.ms !== null && wait.ms >= 1_000, 'no busy loop');
});

test('somebody fights us: it stops, and tries once more when the window has passed', async () => {
  const c = open();
  c.drift(
    drift({ recurring: { finding: 'linkMissing edge/edge0', times: 3 }, suspect: 'ip (pid 7)' }),
  );
  const noted = c.next(0);
  assert.ok(noted.do === 'note' && noted.decision.kind === 'fighting');
  const { perMs } = DEFAULT_REPAIR.budget;
  assert.deepEqual(c.next(0), { do: 'wait', ms: perMs });
  const asked = c.next(perMs);
  assert.ok(asked.do === 'refresh');
  c.refreshed(asked.report, await status(), perMs);
  assert.equal(c.next(perMs).do, 'repair');
});

test('what the agent repaired by itself is passed on, and no longer waited for', () => {
  const c = open();
  c.drift(drift({ policy: propose }));
  c.next(0);
  const record = {
    incidentId: drift().incidentId,
    atMs: 1,
    decision: 'repair',
    outcome: 'converged',
    by: 'agent',
    findings: [],
    repairedInMs: 1_004,
  } as const;
  c.repairedByAgent({ ...record, findings: [] });
  assert.equal(c.next(1).do, 'tell');
  assert.deepEqual(c.next(1), { do: 'wait', ms: LINGER_MS });
});

type Op = 'drift' | 'frozen' | 'propose' | 'approve' | 'reconsider' | 'step' | 'later' | 'carry';
const OPS: Op[] = ['drift', 'frozen', 'propose', 'approve', 'reconsider', 'step', 'later', 'carry'];

test('whatever comes in, in whatever order: no report is dropped unheard and no loop is endless', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...OPS), { maxLength: 60 }), (ops) => {
      let c = open();
      let nowMs = 0;
      let unheard = false;
      const step = (): string => {
        const task = c.next(nowMs);
        if (task.do === 'repair' || task.do === 'note') unheard = false;
        if (task.do === 'refresh') {
          c.refreshed(task.report, null, nowMs);
          // An edge that does not answer reports again when it is back.
          unheard = false;
        }
        assert.ok(!(unheard && task.do === 'done'), 'completed with a report unheard');
        return task.do;
      };
      const inbox = (change: Partial<DriftReport>): void => {
        c.drift(drift(change));
        unheard = true;
      };
      for (const op of ops) {
        if (op === 'drift') inbox({});
        if (op === 'frozen') inbox({ frozen: globally });
        if (op === 'propose') inbox({ policy: propose });
        if (op === 'approve' && c.proposed) c.approve({ planHash: c.proposed, by: 'ada' });
        if (op === 'reconsider') c.reconsider();
        if (op === 'step') step();
        if (op === 'later') nowMs += 20_000;
        if (op === 'carry' && step() === 'wait') {
          const reports = c.carry();
          assert.ok(reports !== null, 'whoever waits has nothing else in hand');
          c = open();
          for (const report of reports) c.drift(report);
          unheard = reports.length > 0;
        }
      }
      for (let steps = 0; steps <= 10; steps += 1) {
        const now = step();
        if (now === 'wait' || now === 'done') return;
      }
      assert.fail('it never comes to rest');
    }),
  );
});
