import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { EXAMPLE } from '../plan/testing';
import { canonicalJson, hashOf, specHash, utf8 } from './hash';

test('keys are sorted by UTF-16 code unit (the example of RFC 8785 §3.2.3)', () => {
  const value = {
    '\u20ac': 'Euro Sign',
    '\r': 'Carriage Return',
    '\ufb33': 'Hebrew Letter Dalet With Dagesh',
    '1': 'One',
    '\u{1f600}': 'Emoji: Grinning Face',
    '\u0080': 'Control',
    '\u00f6': 'Latin Small Letter O With Diaeresis',
  };
  const names = [...canonicalJson(value).matchAll(/:"(\w+)/g)].map(([, word]) => word);
  assert.deepEqual(names, ['Carriage', 'One', 'Control', 'Latin', 'Euro', 'Emoji', 'Hebrew']);
});

test('numbers and strings are written as RFC 8785 §3.2.2 shows them', () => {
  const value = {
    numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 1e-27, -0],
    string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
    literals: [null, true, false],
  };
  assert.equal(
    canonicalJson(value),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0],' +
      '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
});

test('the canonical text is JSON of an equal value, whatever the order of keys', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      assert.equal(canonicalJson(JSON.parse(text)), text);
    }),
  );
});

test('what JSON cannot hold is refused, what is undefined is left out', () => {
  for (const value of [NaN, Infinity, undefined, () => 1, 1n, [undefined]]) {
    assert.throws(() => canonicalJson(value), TypeError);
  }
  assert.equal(canonicalJson({ a: undefined, b: 1 }), '{"b":1}');
});

test('the hash is SHA-256 of the UTF-8 bytes', () => {
  const value = { text: 'π \u{1f600}' };
  const expected = createHash('sha256').update(canonicalJson(value)).digest('hex');
  assert.equal(hashOf(value), expected);
  assert.deepEqual(Buffer.from(utf8('π')), Buffer.from('π'));
});

test('a spec is told by its content, not by its revision', () => {
  const hash = specHash(EXAMPLE);
  assert.equal(specHash({ ...EXAMPLE, revision: 77 }), hash);
  assert.notEqual(specHash({ ...EXAMPLE, phase: 'draining' }), hash);
  assert.notEqual(specHash({ ...EXAMPLE, frozen: { node: true, global: false } }), hash);
});
