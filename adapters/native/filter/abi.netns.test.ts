import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { REFLECT_MAX, SERVICES_MAX } from '../../../core/filter/contents';
import { REASONS } from '../../../core/filter/questions';
import { trackWord } from '../../../core/latency/choice';
import * as abi from './abi';
import { contentsFor } from './testing/support';

const INCLUDE = join(__dirname, '../../../../bpf/include');

/** What the C compiler makes of these expressions. */
function evaluate(expressions: readonly string[]): number[] {
  const directory = mkdtempSync(join(tmpdir(), 'aether-abi-'));
  const [source, program] = [join(directory, 'abi.c'), join(directory, 'abi')];
  const lines = expressions.map((expression) => `printf("%lld\\n", (long long)(${expression}));`);
  const text = `#include <stddef.h>\n#include <stdio.h>\n#include "structs.h"\n#include "latency.h"
    int main(void) { ${lines.join('\n')} }`;
  try {
    writeFileSync(source, text);
    execFileSync('gcc', [`-I${INCLUDE}`, source, '-o', program], { stdio: 'pipe' });
    const told = execFileSync(program, { encoding: 'utf8' });
    return told.trim().split('\n').map(Number);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const STRUCTS = {
  counter: abi.COUNTER,
  filter_config: abi.CONFIG,
  shape_rule: abi.SHAPE_RULE,
  sample: abi.SAMPLE,
  reflect_key: abi.REFLECT_KEY,
  reflect_peer: abi.REFLECT_PEER,
} as const;

const upper = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase();

test('sizes, offsets and numbers are those of bpf/include/structs.h', () => {
  const wanted: [string, number][] = [
    ['FILTER_ABI', abi.FILTER_ABI],
    ['RULES_MAX', abi.RULES_MAX],
    ['SERVICES_MAX', SERVICES_MAX],
    ['REFLECT_MAX', REFLECT_MAX],
    ['SAMPLE_BYTES', abi.SAMPLE_BYTES],
    ['sizeof(struct set_line)', abi.LINE_BYTES],
    ['SETS', abi.SETS.length],
    ['REASONS', REASONS.length],
    ...REASONS.map((reason, i): [string, number] => [`REASON_${upper(reason)}`, i]),
    ...abi.SETS.map((name, i): [string, number] => [`SET_${upper(name)}`, i]),
    ...Object.entries(abi.STAGE).map(([name, bit]): [string, number] => [
      `STAGE_${upper(name)}`,
      bit,
    ]),
    ...Object.entries(abi.REFLECT).map(([name, bit]): [string, number] => [
      `REFLECT_${upper(name)}`,
      bit,
    ]),
    ...Object.entries(abi.RULE).map(([name, bit]): [string, number] => [
      `RULE_${upper(name)}`,
      bit,
    ]),
  ];
  for (const [struct, fields] of Object.entries(STRUCTS)) {
    for (const [field, offset] of Object.entries(fields)) {
      const whole = field === 'size';
      wanted.push([
        whole ? `sizeof(struct ${struct})` : `offsetof(struct ${struct}, ${field})`,
        offset,
      ]);
    }
  }
  const values = evaluate(wanted.map(([expression]) => expression));
  const told = wanted.map(([expression], i): [string, number] => [expression, values[i] ?? NaN]);
  assert.deepEqual(told, wanted);
});

test('the config says what the contents say', () => {
  const contents = contentsFor('eth0', {
    allow: { mode: 'count', prefixes: ['192.0.2.0/24'] },
    rateLimit: { mode: 'count', packetsPerSecond: 1000, burst: 50 },
    sampleEvery: 256,
    track: { oneFlowIn: 4 },
  });
  const config = abi.encodeConfig(contents, new Set(['allow', 'shadow'] as const));
  assert.equal(config.length, abi.CONFIG.size);
  assert.equal(config.readUInt32LE(abi.CONFIG.stages), 1 | 2 | 8);
  assert.equal(config.readUInt32LE(abi.CONFIG.shadow), 1 | 8);
  assert.equal(config.readUInt32LE(abi.CONFIG.sample_mask), 255);
  assert.equal(config.readUInt32LE(abi.CONFIG.drop_malformed), 1);
  assert.equal(config.readBigUInt64LE(abi.CONFIG.rate_ns), 1_000_000n);
  assert.equal(config.readBigUInt64LE(abi.CONFIG.rate_burst_ns), 50_000_000n);
  assert.equal(config.readBigUInt64LE(abi.CONFIG.track), trackWord({ oneFlowIn: 4 }));
  const off = abi.encodeConfig(contentsFor('eth0', { malformed: 'pass' }), new Set());
  assert.equal(off.readUInt32LE(abi.CONFIG.stages), 0);
  assert.equal(off.readUInt32LE(abi.CONFIG.sample_mask), 0xffffffff);
  assert.equal(off.readUInt32LE(abi.CONFIG.drop_malformed), 0);
});

test('a rule carries its fields, its mask, and whether it only counts', () => {
  const rule = {
    name: 'ntp',
    reason: '',
    expiresAtMs: null,
    mode: 'enforce',
    destination: '2001:db8::/33',
    protocol: 17,
    sourcePort: { min: 123, max: 124 },
    destinationPort: null,
    length: { min: 100, max: 65535 },
    tcpFlags: null,
    fragment: null,
  } as const;
  const [enforced, counted] = (['enforce', 'count'] as const).map((mode) =>
    abi.encodeRules({ mode, entries: [{ ...rule, destination: '192.0.2.0/25' }, rule] }),
  );
  assert.equal(enforced!.length, abi.RULES_MAX * abi.SHAPE_RULE.size);
  const second = enforced!.subarray(abi.SHAPE_RULE.size, 2 * abi.SHAPE_RULE.size);
  assert.equal(second.readUInt32LE(0), 1 | 2 | 4 | 16);
  assert.equal(counted!.readUInt32LE(0), 1 | 2 | 4 | 16 | 256);
  assert.deepEqual([second[4], second[5]], [6, 17]);
  assert.deepEqual([second.readUInt16LE(8), second.readUInt16LE(10)], [123, 124]);
  assert.deepEqual([second.readUInt16LE(16), second.readUInt16LE(18)], [100, 65535]);
  assert.equal(second.readUInt32LE(abi.SHAPE_RULE.id), 1);
  assert.equal(second.toString('hex', 24, 40), '20010db8000000000000000000000000');
  assert.equal(second.toString('hex', 40, 56), 'ffffffff800000000000000000000000');
  assert.equal(enforced!.toString('hex', 24, 28), 'c0000200');
  assert.equal(enforced!.toString('hex', 40, 44), 'ffffff80');
  assert.ok(enforced!.subarray(2 * abi.SHAPE_RULE.size).every((byte) => byte === 0));
});
