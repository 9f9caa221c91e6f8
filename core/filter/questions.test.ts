import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readQuestion, TOP_MAX, type FilterQuestion } from './questions';

const QUESTIONS: FilterQuestion[] = [
  { kind: 'stats' },
  { kind: 'top', sinceMs: 0, limit: TOP_MAX },
  { kind: 'trace', interface: 'uplink0', packet: '00ffA0' },
];

test('questions come back from their JSON', () => {
  for (const question of QUESTIONS) {
    assert.deepEqual(readQuestion(JSON.stringify(question)), question);
  }
});

test('what is no question is refused, and never thrown at', () => {
  const wrong = [
    '',
    'null',
    '[]',
    '{"kind":"flush"}',
    '{"kind":"top","sinceMs":0,"limit":0}',
    `{"kind":"top","sinceMs":0,"limit":${TOP_MAX + 1}}`,
    '{"kind":"top","sinceMs":-1,"limit":1}',
    '{"kind":"trace","interface":"uplink0","packet":"0"}',
    '{"kind":"trace","interface":"uplink0","packet":"xx"}',
    `{"kind":"trace","interface":"uplink0","packet":"${'00'.repeat(9217)}"}`,
  ];
  for (const text of wrong) assert.equal(readQuestion(text), null, text.slice(0, 60));
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      const question = readQuestion(text);
      assert.ok(question === null || ['stats', 'top', 'trace'].includes(question.kind));
    }),
  );
});
