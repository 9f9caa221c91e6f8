import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Ledger } from './ledger';

const lookup = (round: number) => ({
  filter: 'Aether',
  entries: 1,
  round,
  kind: 'drop' as const,
  ns: 50,
});

function pathFor(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'ledger-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'below/ledger.jsonl');
}

test('an audit that was broken off finds its whole rounds again', (t) => {
  const path = pathFor(t);
  new Ledger(path, 'key').add('lookups', 0, 0.5, [lookup(0)]);
  appendFileSync(path, '{"phase":"lookups","round":1,"lo');
  const again = new Ledger(path, 'key');
  assert.deepEqual([again.has('lookups', 0), again.has('lookups', 1)], [true, false]);
  again.add('lookups', 1, 0.7, [lookup(1)]);
  const third = new Ledger(path, 'key');
  assert.deepEqual(third.samples('lookups'), [lookup(0), lookup(1)]);
  assert.deepEqual(third.samples('costs'), []);
  assert.deepEqual(third.loads(), [0.5, 0.7]);
  third.close();
  assert.ok(!existsSync(path));
});

test('rounds of another machine, kernel, program or plan are not taken over', (t) => {
  const path = pathFor(t);
  new Ledger(path, 'key').add('lookups', 0, 0.5, [lookup(0)]);
  assert.deepEqual(new Ledger(path, 'another').samples('lookups'), []);
  assert.deepEqual(new Ledger(path, 'key').samples('lookups'), []);
});
