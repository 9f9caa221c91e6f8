import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_ROUTING, plainFilter } from '../model/node';
import { contentsOf, type Override } from './contents';
import { effectOf, readSource, type Asked } from './override';

const byHand = (prefix: string, verdict: Override['verdict']): Override => ({
  prefix,
  verdict,
  reason: '',
  sinceMs: 0,
  untilMs: null,
});

const allowed = (prefix: string) => ({
  mode: 'enforce' as const,
  entries: [{ prefix, reason: '', expiresAtMs: null }],
});

function ask(asked: Asked, overrides: Override[] = []): [boolean, string] {
  const filter = {
    ...plainFilter('uplink0'),
    failsafe: ['192.0.2.0/28'],
    allow: allowed('198.51.100.0/24'),
  };
  const blocks = [{ prefix: '203.0.113.0/24', reason: '', untilMs: null }];
  const held = contentsOf(
    { filters: [filter], blocklists: [], blocks, ...NO_ROUTING, services: [] },
    overrides,
    [],
    0,
  );
  const { effective, note } = effectOf(asked, held, overrides);
  return [effective, note];
}

const block = (prefix: string): Asked => ({ prefix, verdict: 'block' });

test('a plain block is effective, and there is no more to say', () => {
  assert.deepEqual(ask(block('10.0.0.0/8')), [true, '']);
});

test('failsafe and allowed sources win over a block by hand, and say so', () => {
  assert.deepEqual(ask(block('192.0.2.1/32')), [
    false,
    '192.0.2.0/28 is failsafe: it can never be blocked',
  ]);
  const [effective, note] = ask(block('198.51.100.0/25'));
  assert.equal(effective, false);
  assert.match(note, /^198\.51\.100\.0\/24 is allowed/);
});

test('a wide block goes around them', () => {
  assert.deepEqual(ask(block('0.0.0.0/0')), [
    true,
    'in it, failsafe or allowed: 192.0.2.0/28, 198.51.100.0/24',
  ]);
});

test('unblocking what the spec blocks says how to spare it all the same', () => {
  assert.deepEqual(ask({ prefix: '10.0.0.0/8', verdict: 'none' }), [true, '']);
  const [effective, note] = ask({ prefix: '203.0.113.9/32', verdict: 'none' });
  assert.equal(effective, false);
  assert.match(note, /the spec blocks 203\.0\.113\.0\/24 still.*aether edge allow/);
});

test('a list that holds it blocks it still', () => {
  const filters = [plainFilter('uplink0')];
  const held = contentsOf(
    { filters, blocklists: [], blocks: [], ...NO_ROUTING, services: [] },
    [],
    [],
    0,
  );
  const asked: Asked = { prefix: '10.0.0.0/8', verdict: 'none' };
  const { effective, note } = effectOf(asked, held, [], ['bad']);
  assert.equal(effective, false);
  assert.match(note, /^the list bad blocks it still.*aether edge allow$/);
});

test('so does unblocking a part of what is blocked by hand', () => {
  const [effective, note] = ask({ prefix: '10.0.0.1/32', verdict: 'none' }, [
    byHand('10.0.0.0/8', 'block'),
  ]);
  assert.equal(effective, false);
  assert.match(note, /aether edge unblock 10\.0\.0\.0\/8/);
});

test('an edge without filters can do neither', () => {
  const { effective, note } = effectOf(block('10.0.0.0/8'), [], []);
  assert.equal(effective, false);
  assert.match(note, /no filter/);
});

test('sources are read as people write them, and mistakes say what would be right', () => {
  const read = (text: string): string => {
    const source = readSource(text);
    return source.ok ? source.prefix : `! ${source.reason}`;
  };
  assert.equal(read('192.0.2.7'), '192.0.2.7/32');
  assert.equal(read('2001:DB8::/32'), '2001:db8::/32');
  assert.equal(read('::ffff:192.0.2.7'), '192.0.2.7/32');
  assert.equal(read('::ffff:192.0.2.0/120'), '192.0.2.0/24');
  assert.match(read('192.0.2.7/24'), /^! .*is 192\.0\.2\.0\/24 meant\?/);
  for (const all of ['0.0.0.0/0', '::/0', '::ffff:0.0.0.0/96'])
    assert.match(read(all), /everybody/);
  for (const text of ['', 'x', '192.0.2.300', '192.0.2.0/33', '010.0.0.0/8']) {
    assert.match(read(text), /^! .*is no source/);
  }
});
