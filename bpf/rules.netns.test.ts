/** Rules of shape and the rate of a source, by sentences. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Reason } from '../core/filter/questions';
import { ether, fragment, ipv4, ipv6, icmp, tcp, TCP, udp } from './testing/packets';
import { RootProgram, type Rule } from './testing/program';

let root: RootProgram;
before(async () => {
  root = await RootProgram.load();
});
after(() => root.close());

const reasons = (packet: Buffer): Reason[] => Object.keys(root.send(packet).counted) as Reason[];

const dns4 = ether(ipv4({}, udp({})));
const dns6 = ether(ipv6({}, udp({})));
const syn = ether(ipv4({}, tcp({ flags: TCP.SYN, destination: 443 })));
const ack = ether(ipv4({}, tcp({ flags: TCP.ACK | TCP.PSH, destination: 443 }, 100)));
const ping = ether(ipv4({}, icmp(8)));
const first = ether(ipv4({ fragment: { offset: 0, more: true } }, udp({})));
const later4 = ether(ipv4({ fragment: { offset: 4, more: false } }, udp({})));
const later6 = ether(ipv6({}, fragment(4, false, udp({}))));
const packets = { dns4, dns6, syn, ack, ping, first, later4, later6 };
type Name = keyof typeof packets;

/** Which of the packets above a rule drops; every other one passes it. */
const table: { what: string; rule: Rule; drops: Name[] }[] = [
  {
    what: 'a destination',
    rule: { destination: '192.0.2.1/32' },
    drops: ['dns4', 'syn', 'ack', 'ping', 'first', 'later4'],
  },
  {
    what: 'a prefix of destinations',
    rule: { destination: '192.0.0.0/13' },
    drops: ['dns4', 'syn', 'ack', 'ping', 'first', 'later4'],
  },
  {
    what: 'every IPv4 destination',
    rule: { destination: '0.0.0.0/0' },
    drops: ['dns4', 'syn', 'ack', 'ping', 'first', 'later4'],
  },
  { what: 'another destination', rule: { destination: '192.0.2.2/32' }, drops: [] },
  {
    what: 'an IPv6 destination',
    rule: { destination: '2001:db8:1::1/128' },
    drops: ['dns6', 'later6'],
  },
  { what: 'an IPv6 prefix', rule: { destination: '2001:db8:1::/49' }, drops: ['dns6', 'later6'] },
  {
    what: 'an IPv6 prefix that differs in the last bit',
    rule: { destination: '2001:db8:1::2/127' },
    drops: [],
  },
  {
    what: 'a protocol',
    rule: { protocol: 17 },
    drops: ['dns4', 'dns6', 'first', 'later4', 'later6'],
  },
  {
    what: 'a protocol of one family',
    rule: { protocol: 17, family: 6 },
    drops: ['dns6', 'later6'],
  },
  {
    what: 'a source port',
    rule: { sourcePort: [40000, 40000] },
    drops: ['dns4', 'dns6', 'syn', 'ack', 'first'],
  },
  { what: 'source ports below', rule: { sourcePort: [0, 39999] }, drops: [] },
  { what: 'source ports above', rule: { sourcePort: [40001, 65535] }, drops: [] },
  {
    what: 'a destination port',
    rule: { destinationPort: [53, 53] },
    drops: ['dns4', 'dns6', 'first'],
  },
  {
    what: 'destination ports with both ends',
    rule: { destinationPort: [53, 443] },
    drops: ['dns4', 'dns6', 'syn', 'ack', 'first'],
  },
  { what: 'a length', rule: { length: [36, 36] }, drops: ['dns4', 'ping', 'first', 'later4'] },
  { what: 'lengths from a minimum', rule: { length: [57, 65535] }, drops: ['ack', 'later6'] },
  { what: 'TCP flags', rule: { tcpFlags: { mask: 0x12, value: 0x02 } }, drops: ['syn'] },
  {
    what: 'TCP flags of which one must be absent',
    rule: { tcpFlags: { mask: 0x02, value: 0 } },
    drops: ['ack'],
  },
  { what: 'fragments', rule: { fragment: true }, drops: ['first', 'later4', 'later6'] },
  { what: 'fragments of one family', rule: { fragment: true, family: 6 }, drops: ['later6'] },
  {
    what: 'fragments with ports, so first ones',
    rule: { fragment: true, destinationPort: [0, 65535] },
    drops: ['first'],
  },
  {
    what: 'all that a SYN has',
    rule: {
      destination: '192.0.2.0/24',
      protocol: 6,
      sourcePort: [40000, 40000],
      destinationPort: [443, 443],
      length: [40, 40],
      tcpFlags: { mask: 63, value: 2 },
    },
    drops: ['syn'],
  },
  {
    what: 'all of it but the length',
    rule: { protocol: 6, destinationPort: [443, 443], length: [41, 41] },
    drops: [],
  },
  {
    what: 'all of it but the port',
    rule: { protocol: 6, destinationPort: [444, 444], length: [40, 40] },
    drops: [],
  },
  { what: 'TCP flags of UDP', rule: { protocol: 17, tcpFlags: { mask: 0, value: 0 } }, drops: [] },
  { what: 'nothing at all', rule: {}, drops: [] },
];

describe('a rule that asks for', () => {
  before(() => root.configure({ stages: ['rules'] }));
  for (const { what, rule, drops } of table) {
    it(`${what}, drops ${drops.join(', ') || 'none'}`, async () => {
      await root.setRules([rule]);
      for (const [name, packet] of Object.entries(packets)) {
        const want = drops.includes(name as Name) ? 'dropRule' : 'pass';
        assert.deepEqual(reasons(packet), [want], name);
      }
    });
  }
});

describe('rules together', () => {
  it('drop what any of them drops, up to the last place', async () => {
    const rules = Array.from({ length: 64 }, (_, i): Rule => ({
      destinationPort: [1000 + i, 1000 + i],
      id: i,
    }));
    await root.setRules(rules);
    root.configure({ stages: ['rules'], sampleEvery: 1 });
    root.samples();
    for (const port of [999, 1000, 1031, 1063, 1064]) {
      const packet = ether(ipv4({}, udp({ destination: port })));
      const hit = port >= 1000 && port < 1064;
      assert.deepEqual(reasons(packet), [hit ? 'dropRule' : 'pass']);
      assert.equal(root.samples()[0]?.ruleId, hit ? port - 1000 : null);
    }
  });

  it('count no further than the config says', async () => {
    await root.setRules([{ protocol: 1 }, { protocol: 17 }]);
    root.configure({ stages: ['rules'] }, 1);
    assert.deepEqual(reasons(dns4), ['pass']);
    root.configure({ stages: ['rules'] }, 2);
    assert.deepEqual(reasons(dns4), ['dropRule']);
  });

  it('that only count let a later one drop, and count once', async () => {
    root.configure({ stages: ['rules'] });
    await root.setRules([
      { protocol: 17, shadow: true },
      { length: [0, 99], shadow: true },
    ]);
    assert.deepEqual(reasons(dns4), ['pass', 'shadowRule']);
    await root.setRules([{ protocol: 17, shadow: true }, { length: [0, 99] }]);
    assert.deepEqual(reasons(dns4), ['dropRule', 'shadowRule']);
    await root.setRules([{ protocol: 17 }, { length: [0, 99], shadow: true }]);
    assert.deepEqual(reasons(dns4), ['dropRule']);
  });

  it('are not asked while the stage is off, or the table is absent', async () => {
    await root.setRules([{ protocol: 17 }]);
    root.configure({ stages: ['block', 'rate'], rateBurstNs: 1 });
    assert.deepEqual(reasons(dns4), ['pass']);
  });
});

describe('the rate of a source', () => {
  const SECOND_NS = 1_000_000_000;
  const from = (source: string): Buffer =>
    ether(source.includes(':') ? ipv6({ source }, udp({})) : ipv4({ source }, udp({})));
  /** What becomes of `n` packets of a source, one letter each. */
  const burst = (source: string, n: number): string =>
    Array.from({ length: n }, () => (root.verdict(from(source)) === 'pass' ? 'p' : 'd')).join('');
  // An hour a packet: no test takes so long that a bucket refills by itself.
  const HOUR_NS = 3600 * SECOND_NS;
  const limit = (burstOf: number): void =>
    root.configure({ stages: ['rate'], rateNs: HOUR_NS, rateBurstNs: burstOf * HOUR_NS });

  /** Lets `packets` of time pass for one source: its bucket is full so much earlier. */
  function refill(key: Buffer, packets: number): void {
    const value = Buffer.alloc(8);
    assert.ok(root.map('rate').lookup(key, value));
    const fullAt = value.readBigUInt64LE() - BigInt(packets * HOUR_NS);
    value.writeBigUInt64LE(fullAt > 0n ? fullAt : 0n);
    root.map('rate').update(key, value, 0);
  }
  const mapped = (last: string): Buffer => Buffer.from(`00000000000000000000ffff${last}`, 'hex');

  it('lets a burst through and no more', () => {
    limit(3);
    assert.equal(burst('203.0.113.1', 6), 'pppddd');
    assert.deepEqual(reasons(from('203.0.113.1')), ['dropRate']);
  });

  it('is each source’s own', () => {
    limit(1);
    assert.equal(burst('203.0.113.2', 2), 'pd');
    assert.equal(burst('203.0.113.3', 2), 'pd');
  });

  it('refills with time, up to the burst', () => {
    limit(3);
    assert.equal(burst('203.0.113.4', 4), 'pppd');
    refill(mapped('cb007104'), 1);
    assert.equal(burst('203.0.113.4', 2), 'pd');
    refill(mapped('cb007104'), 2);
    assert.equal(burst('203.0.113.4', 3), 'ppd');
    refill(mapped('cb007104'), 100);
    assert.equal(burst('203.0.113.4', 4), 'pppd');
  });

  it('takes nothing for packets that it drops', () => {
    limit(2);
    assert.equal(burst('203.0.113.5', 50), 'pp'.padEnd(50, 'd'));
    refill(mapped('cb007105'), 1);
    assert.equal(burst('203.0.113.5', 2), 'pd');
  });

  it('counts the /64 as one source of IPv6', () => {
    limit(2);
    assert.equal(burst('2001:db8:64::1', 1), 'p');
    assert.equal(burst('2001:db8:64:0:ffff::2', 1), 'p');
    assert.equal(burst('2001:db8:64::3', 1), 'd');
    assert.equal(burst('2001:db8:64:1::1', 1), 'p');
  });

  it('is not shared by IPv4 and an IPv6 of the same bits', () => {
    limit(1);
    assert.equal(burst('203.0.113.6', 2), 'pd');
    assert.equal(burst('::ffff:203.0.113.6', 2), 'pd');
    assert.equal(burst('::', 1), 'd');
  });

  it('lets nothing through where the burst is below one packet', () => {
    root.configure({ stages: ['rate'], rateNs: 10, rateBurstNs: 9 });
    assert.equal(burst('203.0.113.7', 3), 'ddd');
  });

  it('forgets sources when there are more than it can remember, and stops nobody for it', () => {
    limit(1);
    const packet = from('10.0.0.0');
    for (let i = 0; i < 70_000; i++) {
      packet.writeUInt32BE(0x0a000000 + i, 26);
      assert.equal(root.verdict(packet), 'pass');
    }
  });
});
