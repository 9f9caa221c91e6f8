import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseYaml } from './yaml';
import type { YamlDocument } from './yaml';

const TEXT = `# a comment
kind: Node
spec:
  list:
    - { a: 1, "b c": [x, y] }
    - a: 2
---
# nothing in this one
---
kind: Other
`;

function documents(text: string): YamlDocument[] {
  const parsed = parseYaml(text);
  assert.ok(parsed.ok);
  return parsed.documents;
}

test('each document has its value, empty ones are left out', () => {
  const values = documents(TEXT).map(({ value }) => value);
  assert.deepEqual(values, [
    { kind: 'Node', spec: { list: [{ a: 1, 'b c': ['x', 'y'] }, { a: 2 }] } },
    { kind: 'Other' },
  ]);
  assert.deepEqual(documents(''), []);
});

test('a path leads to the line and column of its value, or of its key', () => {
  const [first, second] = documents(TEXT);
  const at = (path: (string | number)[], key = false): string => {
    const { line, column } = first?.positionOf(path, key) ?? { line: 0, column: 0 };
    return `${line}:${column}`;
  };
  assert.equal(at(['kind']), '2:7');
  assert.equal(at(['kind'], true), '2:1');
  assert.equal(at(['spec', 'list', 0, 'a']), '5:12');
  assert.equal(at(['spec', 'list', 0, 'b c', 1]), '5:26');
  assert.equal(at(['spec', 'list', 1, 'a'], true), '6:7');
  assert.deepEqual(second?.positionOf(['kind']), { line: 10, column: 7 });
});

test('what is absent is placed at the nearest thing around it', () => {
  const [first] = documents(TEXT);
  assert.deepEqual(first?.positionOf(['spec', 'list', 1, 'missing', 'deeper']), {
    line: 6,
    column: 7,
  });
  assert.deepEqual(first?.positionOf(['nothing']), { line: 2, column: 1 });
});

test('syntax errors have a place', () => {
  const parsed = parseYaml('a: [1,\nb: 2\n');
  assert.ok(!parsed.ok);
  assert.ok(parsed.errors.length > 0);
  for (const { line, column } of parsed.errors) assert.ok(line >= 1 && column >= 1);
});

test('a bomb of aliases is an error, not a full memory', () => {
  const levels = Array.from({ length: 9 }, (_, i) => {
    const inner =
      i === 0
        ? '"x"'
        : Array(9)
            .fill(`*a${i - 1}`)
            .join(', ');
    return `a${i}: &a${i} [${inner}]`;
  });
  const parsed = parseYaml(levels.join('\n'));
  assert.equal(parsed.ok, false);
});

test('no text makes the parser throw, and every place is within the text', () => {
  const noise = fc.stringMatching(/^[-:{}[\],&*!|>'"%@`#?~ \n\tab01]{0,60}$/);
  fc.assert(
    fc.property(noise, fc.array(fc.oneof(fc.constantFrom('a', 'b'), fc.nat(2))), (text, path) => {
      const parsed = parseYaml(text);
      const lines = text.split('\n').length;
      const places = parsed.ok
        ? parsed.documents.map((document) => document.positionOf(path))
        : parsed.errors;
      for (const { line, column } of places) {
        assert.ok(line >= 1 && line <= lines && column >= 1, `${line}:${column} of ${lines} lines`);
      }
    }),
    { numRuns: 2_000 },
  );
});
