/** The stages by sentences: who is dropped, who is spared, what is only counted. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Reason } from '../core/filter/questions';
import { ether, ipv4, ipv6, tcp, TCP, udp, V4, V6 } from './testing/packets';
import { RootProgram, type Config } from './testing/program';
import { setSources, SETS, type SetName } from './testing/sets';

let root: RootProgram;
before(async () => {
  root = await RootProgram.load();
});
after(() => root.close());

const held = new Map<SetName, string>(SETS.map((name) => [name, '']));
/** As setSources, where it is not so already: an image is megabytes, and each change waits for RCU. */
async function hold(name: SetName, prefixes: string[]): Promise<void> {
  const text = prefixes.join(' ');
  if (held.get(name) !== text) await setSources(root, name, prefixes);
  held.set(name, text);
}

const FAMILIES = [
  {
    family: 'IPv4',
    source: V4.source,
    around: '198.51.100.0/24',
    other: '198.51.101.7',
    wrap: ipv4,
  },
  {
    family: 'IPv6',
    source: V6.source,
    around: '2001:db8:7::/48',
    other: '2001:db8:8::7',
    wrap: ipv6,
  },
] as const;

const counted = (packet: Buffer): Outcome => {
  const { verdict, counted: by } = root.send(packet);
  const reasons = Object.keys(by) as Reason[];
  const own = reasons.filter((reason) => !reason.startsWith('shadow'));
  assert.equal(own.length, 1, `one reason: ${reasons.join(' ')}`);
  for (const reason of reasons) assert.equal(by[reason], 1, reason);
  assert.equal(verdict, own[0]!.startsWith('drop') ? 'drop' : 'pass');
  return reasons;
};
type Outcome = Reason[];

interface Case {
  what: string;
  config: Partial<Config>;
  sets: Partial<Record<SetName, 'source' | 'around' | 'other'>>;
  reasons: Reason[];
}

const BLOCK: Partial<Config> = { stages: ['block'] };
const ALL: Partial<Config> = {
  stages: ['allow', 'block', 'rules', 'rate'],
  rateNs: 2,
  rateBurstNs: 1,
};

const cases: Case[] = [
  { what: 'nothing is loaded', config: BLOCK, sets: {}, reasons: ['pass'] },
  {
    what: 'the source is blocked',
    config: BLOCK,
    sets: { block: 'source' },
    reasons: ['dropBlock'],
  },
  {
    what: 'a prefix around it is blocked',
    config: BLOCK,
    sets: { block: 'around' },
    reasons: ['dropBlock'],
  },
  { what: 'another is blocked', config: BLOCK, sets: { block: 'other' }, reasons: ['pass'] },
  {
    what: 'it is blocked, but the stage is off',
    config: { stages: [] },
    sets: { block: 'source' },
    reasons: ['pass'],
  },
  {
    what: 'it is in a list that only counts',
    config: BLOCK,
    sets: { shadow: 'around' },
    reasons: ['pass', 'shadowBlock'],
  },
  {
    what: 'it is in a list that counts and in one that drops',
    config: BLOCK,
    sets: { shadow: 'around', block: 'source' },
    reasons: ['dropBlock'],
  },
  {
    what: 'blocking as a whole only counts',
    config: { stages: ['block'], shadow: ['block'] },
    sets: { block: 'source' },
    reasons: ['pass', 'shadowBlock'],
  },
  {
    what: 'it is blocked and failsafe',
    config: BLOCK,
    sets: { block: 'around', failsafe: 'source' },
    reasons: ['passFailsafe'],
  },
  {
    what: 'it is blocked and allowed',
    config: { stages: ['allow', 'block'] },
    sets: { block: 'around', allow: 'around' },
    reasons: ['passAllow'],
  },
  {
    what: 'it is blocked, failsafe and allowed',
    config: { stages: ['allow', 'block'] },
    sets: { block: 'around', allow: 'around', failsafe: 'around' },
    reasons: ['passFailsafe'],
  },
  {
    what: 'it is blocked and allowed, but allowing is off',
    config: BLOCK,
    sets: { block: 'around', allow: 'around' },
    reasons: ['dropBlock'],
  },
  {
    what: 'it is blocked and allowed, but allowing only counts',
    config: { stages: ['allow', 'block'], shadow: ['allow'] },
    sets: { block: 'around', allow: 'around' },
    reasons: ['dropBlock'],
  },
  {
    what: 'another is failsafe and allowed',
    config: { stages: ['allow', 'block'] },
    sets: { block: 'around', failsafe: 'other', allow: 'other' },
    reasons: ['dropBlock'],
  },
  {
    what: 'it would be counted as a shadow, but is failsafe',
    config: BLOCK,
    sets: { shadow: 'around', failsafe: 'source' },
    reasons: ['pass'],
  },
  {
    what: 'it would be counted as a shadow, but is allowed',
    config: { stages: ['allow', 'block'] },
    sets: { shadow: 'around', allow: 'source' },
    reasons: ['pass'],
  },
  {
    what: 'it is only failsafe',
    config: ALL,
    sets: { failsafe: 'source' },
    reasons: ['passFailsafe'],
  },
  { what: 'it is only allowed', config: ALL, sets: { allow: 'around' }, reasons: ['passAllow'] },
  {
    what: 'everything speaks against it',
    config: ALL,
    sets: { block: 'source' },
    reasons: ['dropBlock'],
  },
  { what: 'rule and rate speak against it', config: ALL, sets: {}, reasons: ['dropRule'] },
  {
    what: 'everything only counts',
    config: { ...ALL, shadow: ['block', 'rules', 'rate'] },
    sets: { block: 'source' },
    reasons: ['pass', 'shadowBlock', 'shadowRule', 'shadowRate'],
  },
  {
    what: 'everything only counts, and it is failsafe',
    config: { ...ALL, shadow: ['block', 'rules', 'rate'] },
    sets: { block: 'source', failsafe: 'source' },
    reasons: ['pass'],
  },
  {
    what: 'block and rule only count, the rate does not',
    config: { ...ALL, shadow: ['block', 'rules'] },
    sets: { shadow: 'source' },
    reasons: ['dropRate', 'shadowBlock', 'shadowRule'],
  },
  {
    what: 'block and rule only count, the rate does not, and it is allowed',
    config: { ...ALL, shadow: ['block', 'rules'] },
    sets: { shadow: 'source', allow: 'source' },
    reasons: ['passAllow'],
  },
];

for (const { family, source, around, other, wrap } of FAMILIES) {
  describe(`a packet of ${family} of which it holds that`, () => {
    const prefixes = { source, around, other };
    before(() => root.setRules([{ protocol: 17 }]));
    for (const { what, config, sets, reasons } of cases) {
      it(`${what} → ${reasons.join(' ')}`, async () => {
        for (const name of SETS) {
          const chosen = sets[name];
          await hold(name, chosen === undefined ? [] : [prefixes[chosen]]);
        }
        root.configure(config);
        assert.deepEqual(counted(ether(wrap({ source }, udp({})))), reasons);
      });
    }
  });
}

describe('samples', () => {
  const packet = ether(ipv4({}, tcp({ flags: TCP.SYN }, 200)));
  const short = ether(ipv6({}, udp({})), false);
  // Each CPU counts for itself which packet is a sample: all are run by one.
  const mayRunOn = (): string =>
    /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]!;
  const runOn = (cpus: string): void =>
    void execFileSync('taskset', ['--pid', '--cpu-list', cpus, `${process.pid}`]);
  const everywhere = mayRunOn();
  before(() => runOn(/^\d+/.exec(everywhere)![0]));
  after(() => runOn(everywhere));
  beforeEach(async () => {
    for (const name of SETS) await hold(name, []);
    await root.setRules([
      { protocol: 17, id: 41, shadow: true },
      { protocol: 6, id: 42 },
    ]);
    root.samples();
  });

  it('hold the head of the frame, its reason and its rule', () => {
    root.configure({ stages: ['rules'], sampleEvery: 1 });
    root.send(packet);
    root.send(short);
    root.send(packet.subarray(0, 20));
    assert.deepEqual(root.samples(), [
      { reason: 'dropRule', length: packet.length, ruleId: 42, frame: packet.subarray(0, 96) },
      { reason: 'shadowRule', length: short.length, ruleId: 41, frame: short },
      { reason: 'pass', length: short.length, ruleId: null, frame: short },
      { reason: 'dropMalformed', length: 20, ruleId: null, frame: packet.subarray(0, 20) },
    ]);
  });

  it('are one of so many packets of a reason', () => {
    root.configure({ stages: [], sampleEvery: 8 });
    for (let i = 0; i < 80; i++) root.send(packet);
    assert.equal(root.samples().length, 10);
  });

  it('are none but the first packet of a reason where none are asked for', () => {
    root.configure({ stages: ['rules'] });
    root.send(packet);
    root.samples();
    for (let i = 0; i < 64; i++) root.send(packet);
    assert.deepEqual(root.samples(), []);
  });

  it('are lost, and packets are not, where nobody reads the ring', () => {
    root.configure({ stages: ['rules'], sampleEvery: 1 });
    for (let i = 0; i < 3000; i++) assert.equal(root.send(packet).verdict, 'drop');
    const held = root.samples().length;
    assert.ok(held > 1000 && held < 3000, `${held} held`);
  });
});
