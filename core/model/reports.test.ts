import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DriftReport, EdgeStatus, RepairRecord } from './messages';
import { DEFAULT_REPAIR } from './node';
import { parseDriftReport, parseEdgeStatus, parseRepairRecord } from './reports';

const report: DriftReport = {
  node: 'fra-1',
  incidentId: 'inc-1',
  revision: 7,
  specHash: 'a',
  planHash: 'b',
  findings: [{ kind: 'linkMissing', object: 'edge/edge0', message: 'gone', conflict: false }],
  cause: 'kernel',
  kernelAtMs: 1,
  detectedAtMs: 2,
  suspect: null,
  plan: ['create veth edge0'],
  policy: DEFAULT_REPAIR,
  frozen: { local: false, node: false, global: false },
  budget: { used: 1, freesAtMs: 5 },
  recurring: { finding: 'linkMissing edge/edge0', times: 2 },
};

const record: RepairRecord = {
  incidentId: 'inc-1',
  atMs: 3,
  decision: 'repair',
  outcome: 'converged',
  by: 'agent',
  findings: [],
  repairedInMs: 12.5,
};

const status: EdgeStatus = {
  node: 'fra-1',
  incarnation: 1,
  agentVersion: '1',
  accepted: { revision: 7, hash: 'a', phase: 'active' },
  appliedHash: 'a',
  findings: report.findings,
  plan: [],
  planHash: '',
  incident: null,
  lastDecision: { decision: { kind: 'propose', planHash: 'b' }, atMs: 1, incidentId: 'inc-1' },
  lastRepair: record,
  nextTimer: { what: 'the next look', atMs: 9 },
  budget: { attempts: 5, used: 0, perMs: 600_000 },
  frozen: report.frozen,
  controller: { connected: true, address: 'c1', sinceMs: 1 },
  temporal: { connected: false },
  problems: [],
};

const cases = [
  ['drift report', parseDriftReport, report],
  ['repair record', parseRepairRecord, record],
  ['edge status', parseEdgeStatus, status],
] as const;

for (const [name, parse, value] of cases) {
  test(`a ${name} passes as it is, and so does what a newer agent adds`, () => {
    assert.deepEqual(parse(value), { ok: true, value });
    const newer = { ...value, more: { of: ['it'] } };
    assert.deepEqual(parse(newer), { ok: true, value: newer });
  });

  test(`a ${name} that lacks something is refused, and the place named`, () => {
    for (const key of Object.keys(value)) {
      const { [key]: _, ...rest } = value as unknown as Record<string, unknown>;
      const parsed = parse(rest);
      assert.equal(parsed.ok, false, key);
      assert.match(parsed.ok ? '' : parsed.reason, new RegExp(key));
    }
  });

  test(`any JSON is a ${name} or is refused; none throws`, () => {
    const keys = fc.constantFrom(...Object.keys(value));
    fc.assert(
      fc.property(fc.jsonValue(), keys, (json, key) => {
        assert.equal(typeof parse(json).ok, 'boolean');
        assert.equal(typeof parse({ ...value, [key]: json }).ok, 'boolean');
      }),
    );
  });
}
