import assert from 'node:assert/strict';
import { it } from 'node:test';
import { importsOf } from './sources';

it('imports are found in every form that TypeScript has', () => {
  // Put together from pieces, so that this file does not seem to import them itself.
  const source = [
    "// import 'in-a-comment';",
    "import 'bare';",
    "import type { A } from 'types';",
    "import { type B, type C } from 'inline-types';",
    "import D, { type E } from 'mixed';",
    "import { type F, g } from 'value';",
    "import * as h from 'star';",
    "export { i } from 're-export';",
    "export type * from 'type-star';",
    "import {\n  type J,\n} from 'lines';",
    `const k = ${'require'}('required');`,
    `type L = ${'import'}('of-a-type').L;`,
  ].join('\n');
  const seen = importsOf(source).map(
    ({ from, typeOnly }) => `${from}${typeOnly ? ' (types)' : ''}`,
  );
  assert.deepEqual(seen, [
    'bare',
    'types (types)',
    'inline-types (types)',
    'mixed',
    'value',
    'star',
    're-export',
    'type-star (types)',
    'lines (types)',
    'required',
    'of-a-type',
  ]);
});
