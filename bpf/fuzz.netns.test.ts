/**
 * Bytes by chance, and packets changed by chance: whatever comes, one reason is counted, the verdict is
 * that of the reason, the frame is as it was, and the parser agrees with its model.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { REASONS, type Reason } from '../core/filter/questions';
import { laterFragments, malformed, others, understood } from './testing/headers';
import { parse, type Parsed } from './testing/model';
import { RootProgram } from './testing/program';
import { setSources } from './testing/sets';

const RUNS = 4000;
const SECONDS_NS = 1e9;
const seeds = [...understood, ...others, ...laterFragments, ...malformed].map((f) => f.packet);

let root: RootProgram;
before(async () => {
  root = await RootProgram.load();
});
after(() => root.close());

/** Headers are where it matters: most changes go there. */
const change = fc.record({
  at: fc.oneof({ weight: 4, arbitrary: fc.nat(70) }, { weight: 1, arbitrary: fc.nat(200) }),
  value: fc.oneof(
    fc.nat(255),
    fc.constantFrom(0, 1, 5, 6, 17, 43, 44, 51, 58, 60, 0x45, 0x60, 255),
  ),
});

const mutated = fc
  .record({
    seed: fc.constantFrom(...seeds),
    changes: fc.array(change, { maxLength: 6 }),
    cut: fc.option(fc.nat(120)),
    more: fc.uint8Array({ maxLength: 40 }),
  })
  .map(({ seed, changes, cut, more }) => {
    const bytes = Buffer.concat([seed, more]);
    for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
    return cut === null ? bytes : bytes.subarray(0, Math.max(14, bytes.length - cut));
  });

const random = fc
  .record({
    type: fc.constantFrom('0800', '86dd', '81000001', '88a80001810000020800', ''),
    bytes: fc.uint8Array({ minLength: 14, maxLength: 1500 }),
  })
  .map(({ type, bytes }) =>
    Buffer.concat([bytes.subarray(0, 12), Buffer.from(type, 'hex'), bytes.subarray(12)]),
  );

const reasonsOf: Record<Parsed, Reason[]> = {
  notIp: ['passNotIp'],
  malformed: ['dropMalformed'],
  wellFormed: ['pass', 'passFailsafe', 'passAllow', 'dropBlock', 'dropRule', 'dropRate'],
};

function check(frame: Buffer): void {
  const { verdict, counted, bytes, packet } = root.send(frame);
  const own = REASONS.filter((reason) => reason in counted && !reason.startsWith('shadow'));
  assert.equal(own.length, 1, `reasons: ${own.join(' ')}`);
  const [reason] = own as [Reason];
  for (const [name, n] of Object.entries(counted)) {
    assert.equal(n, 1, name);
    assert.equal(bytes[name as Reason], frame.length, name);
  }
  assert.equal(verdict, reason.startsWith('drop') ? 'drop' : 'pass');
  assert.deepEqual(packet, frame);
  assert.ok(reasonsOf[parse(frame)].includes(reason), `${reason}, but it is ${parse(frame)}`);
}

const CONFIGS = {
  'no stage': () => root.configure({ sampleEvery: 1 }),
  'every stage': () =>
    root.configure({
      stages: ['allow', 'block', 'rules', 'rate'],
      sampleEvery: 2,
      rateNs: SECONDS_NS,
      rateBurstNs: 10 * SECONDS_NS,
    }),
  'every stage, all but the rate as a shadow': () =>
    root.configure({
      stages: ['allow', 'block', 'rules', 'rate'],
      shadow: ['block', 'rules'],
      sampleEvery: 1,
      rateNs: SECONDS_NS,
      rateBurstNs: 10 * SECONDS_NS,
    }),
};

for (const [name, configure] of Object.entries(CONFIGS)) {
  for (const [kind, frames] of Object.entries({ mutated, random })) {
    test(`${kind} packets through ${name}`, async () => {
      await setSources(root, 'block', [
        '198.51.100.0/25',
        '2001:db8:7::/64',
        '128.0.0.0/2',
        '8000::/2',
      ]);
      await setSources(root, 'shadow', ['0.0.0.0/2', '::/2']);
      await setSources(root, 'failsafe', ['198.51.100.7', '129.0.0.0/8', '8100::/9']);
      await setSources(root, 'allow', ['2001:db8:7::7', '192.0.0.0/3', 'c000::/3']);
      await root.setRules([{ protocol: 6, shadow: true }, { fragment: true }, { length: [0, 60] }]);
      configure();
      fc.assert(
        fc.property(frames, (frame) => check(frame)),
        { numRuns: RUNS },
      );
      root.samples();
    });
  }
}
