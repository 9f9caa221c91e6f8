/** The process with the capabilities that its unit leaves it, on a real kernel: enough, and none too many. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lease, pair, session } from './testing/bfd-host';

const UNIT = join(__dirname, '../../../packaging/systemd/aether-bfd.service');

const granted = (/^CapabilityBoundingSet=(.+)$/m.exec(readFileSync(UNIT, 'utf8'))?.[1] ?? '')
  .split(' ')
  .map((name) => name.replace(/^CAP_/, '').toLowerCase());

const withOnly = (capabilities: readonly string[]): string[] => [
  'setpriv',
  '--no-new-privs',
  `--bounding-set=${['-all', ...capabilities.map((name) => `+${name}`)].join(',')}`,
];

test('with the capabilities of its unit it has real-time priority; without, it runs on and says so', async (t) => {
  assert.deepEqual(granted, ['sys_nice']);
  const { a, b, v4 } = pair(t);
  a.start(withOnly(granted)).attach(lease([session(v4.b)]));
  b.start(withOnly([])).attach(lease([session(v4.a)]));
  const [full, less] = await Promise.all([a.untilState(v4.b, 'up'), b.untilState(v4.a, 'up')]);
  assert.deepEqual(full.realtime, { held: true, problem: null });
  assert.equal(less.realtime.held, false);
  assert.match(less.realtime.problem ?? '', /no real-time priority.*busy host/);
});
