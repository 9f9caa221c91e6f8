import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sanity } from './check';
import { FILTERS } from './filters/table';
import { cannotRun, measure } from './measure';

test('every filter drops what is listed and passes the rest', { skip: cannotRun() }, async () => {
  const { costs, floods, lookups, skipped, loads } = await measure('smoke', null);
  assert.deepEqual(sanity({ costs, floods }), []);
  const missing = FILTERS.filter((filter) => filter.missing() !== null).map(({ name }) => name);
  assert.deepEqual(
    skipped.map(({ filter }) => filter),
    missing,
  );
  const cells = FILTERS.filter(({ name }) => !missing.includes(name));
  assert.deepEqual(
    costs.map(({ filter, kind }) => `${filter} ${kind}`).sort(),
    cells.flatMap(({ name, kinds }) => kinds.map((kind) => `${name} ${kind}`)).sort(),
  );
  assert.equal(loads.length, cells.length);
  assert.ok(floods.length > 0 && lookups.length > 0);
  for (const { filter, kpps, rttUs, tcpMbit } of floods) {
    assert.ok(rttUs.length > 0 && rttUs.every((us) => us > 0), `${filter}, ${kpps} kpps`);
    assert.ok(tcpMbit > 0, `${filter}, ${kpps} kpps: ${tcpMbit} Mbit/s`);
  }
});
