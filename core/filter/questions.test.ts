import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readQuestion, SAMPLES_MAX, TOP_MAX, type FilterQuestion } from './questions';

const QUESTIONS: FilterQuestion[] = [
  { kind: 'stats' },
  { kind: 'top', sinceMs: 0, limit: TOP_MAX },
  { kind: 'trace', interface: 'uplink0', packet: '00ffA0' },
  { kind: 'sampled' },
  { kind: 'rehearse', prefixes: ['192.0.2.0/24', '2001:db8::/32'], upTo: 7, limit: 1 },
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
    '{"kind":"rehearse","prefixes":["192.0.2.0/33"],"upTo":7,"limit":1}',
    '{"kind":"rehearse","prefixes":[7],"upTo":7,"limit":1}',
    '{"kind":"rehearse","prefixes":"192.0.2.0/24","upTo":7,"limit":1}',
    '{"kind":"rehearse","prefixes":[],"upTo":-1,"limit":1}',
    JSON.stringify({
      kind: 'rehearse',
      prefixes: Array.from({ length: SAMPLES_MAX + 1 }, () => '192.0.2.0/24'),
      upTo: 7,
      limit: 1,
    }),
  ];
  for (const text of wrong) assert.equal(readQuestion(text), null, text.slice(0, 60));
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      const question = readQuestion(text);
      assert.ok(question === null || QUESTIONS.some(({ kind }) => kind === question.kind));
    }),
  );
});
