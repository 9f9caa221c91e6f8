import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXAMPLE } from '../plan/testing';
import { compileEdgeSpec, type CompileInput, NO_BINDINGS } from './compile';
import { PHASES } from './edge-spec';
import { specHash } from './hash';
import { API_VERSION, NO_ROUTING, type NodeResource } from './node';
import {
  parseEdgeSpec,
  parseFreezeValue,
  parseNodeValue,
  parsePhaseValue,
  valueText,
  type NodeValue,
} from './values';

const { namespaces, filters, repair } = EXAMPLE;
const RESOURCE: NodeResource = {
  apiVersion: API_VERSION,
  kind: 'Node',
  metadata: { name: 'fra-1', region: 'eu-central', labels: {} },
  spec: { namespaces, filters, ...NO_ROUTING, repair },
};
const NODE: NodeValue = { resource: RESOURCE, deletionRevision: null };

const input = (over: Partial<CompileInput> = {}): CompileInput => ({
  node: { value: NODE, revision: 10 },
  phase: { value: { phase: 'active' }, revision: 20 },
  override: null,
  freeze: null,
  routing: null,
  ...NO_BINDINGS,
  ...over,
});

const frozen = (is: boolean) => ({ frozen: is, reason: 'r', by: 'me', atMs: 1 });

test('a node compiles to what its edge shall be, at the highest revision of its keys', () => {
  assert.deepEqual(compileEdgeSpec(input()), { ...EXAMPLE, revision: 20 });
  const freeze = { value: frozen(true), revision: 31 };
  const override = { value: frozen(false), revision: 30 };
  const spec = compileEdgeSpec(input({ freeze, override }));
  assert.equal(spec.revision, 31);
  assert.deepEqual(spec.frozen, { node: false, global: true });
});

test('only a node that leaves shall have nothing', () => {
  for (const phase of PHASES) {
    const spec = compileEdgeSpec(input({ phase: { value: { phase }, revision: 20 } }));
    assert.equal(spec.namespaces.length, phase === 'decommissioning' ? 0 : 1, phase);
    assert.equal(spec.filters.length, phase === 'decommissioning' ? 0 : 1, phase);
  }
});

test('a rewrite that changes nothing has the same hash at a higher revision', () => {
  const before = compileEdgeSpec(input());
  const after = compileEdgeSpec(input({ node: { value: NODE, revision: 99 } }));
  assert.equal(after.revision, 99);
  assert.equal(specHash(after), specHash(before));
});

test('values of keys are read back as they were written', () => {
  assert.deepEqual(parseNodeValue(valueText(NODE)), { ok: true, value: NODE });
  assert.deepEqual(parsePhaseValue('{"phase":"active"}'), { ok: true, value: { phase: 'active' } });
  assert.deepEqual(parseFreezeValue(valueText(frozen(true))), { ok: true, value: frozen(true) });
  assert.deepEqual(parseEdgeSpec(JSON.stringify(EXAMPLE)), { ok: true, value: EXAMPLE });
});

test('a value that is cut, of another shape, or from the future is refused with a reason', () => {
  const wrong = ['', '{', '[]', '{"phase":"dreaming"}', '{"phase":"active","more":1}'];
  for (const text of wrong) {
    const result = parsePhaseValue(text);
    assert.ok(!result.ok && result.reason !== '', text);
  }
  assert.equal(parseEdgeSpec(JSON.stringify({ ...EXAMPLE, schema: 2 })).ok, false);
});
