/** Each fault once, in parts that run beside each other: one lab takes too long for all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotSetClocks } from '../../lab/clocks';
import { cannotRun } from '../../lab/routers';
import { cannotRunLabs } from '../../lab/testing';
import { measure } from './measure';
import { FAULT_NAMES } from './schedule';

const SEED = 6;
const skip =
  cannotRunLabs() ||
  cannotSetClocks() ||
  cannotRun('bird') ||
  cannotRun('frr') ||
  cannotRun('gobgpd');

/** Part number `part` (from 0) of `parts`. */
export function testEachOnce(part: number, parts: number): void {
  const faults = FAULT_NAMES.filter((_, i) => i % parts === part);
  test(`kept and healed: ${faults.join(', ')}`, { skip }, async (t) => {
    const { figures, details } = await measure({
      seed: SEED,
      faults,
      length: 'once',
      logs: null,
      progress: (line) => t.diagnostic(line),
    });
    const { violations, wishesAccepted } = details as {
      violations: unknown[];
      wishesAccepted: number;
    };
    assert.deepEqual(violations, []);
    const [, recovery] = figures;
    const cameAndWent = recovery?.samples.length ?? 0;
    assert.ok(cameAndWent >= faults.length, `${cameAndWent} faults came and went`);
    assert.ok(wishesAccepted >= 3 * faults.length, 'clients were heard all the while');
  });
}
