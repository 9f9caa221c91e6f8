import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CUTS, cut, cutsOf, heal } from './cuts';
import type { Cut } from './cuts';
import { adminSockets } from './health';
import { Lab } from './lab';
import { apart, sever } from './partitions';
import { TestLab, cannotRunLabs, exampleNode } from './testing';
import { eventually } from './wait';

const skip = cannotRunLabs();
const east = exampleNode('nyc-1', 2);
const nodes = [
  exampleNode('fra-1', 1),
  { ...east, metadata: { ...east.metadata, region: 'us-east' } },
];
/** The edges' ends of their uplinks. */
const ADDRESSES = { 'fra-1': '198.19.0.2', 'nyc-1': '198.19.0.6' } as const;
const ADDRESSES_V6 = { 'fra-1': 'fd00:198:19:1::2', 'nyc-1': 'fd00:198:19:2::2' } as const;
type Edge = keyof typeof ADDRESSES;

let under: TestLab;
before(async () => {
  if (skip === false) under = await TestLab.up(nodes);
});
after(() => under?.end());

const answers = async (address: string): Promise<boolean> =>
  (await under.lab.exec('client', ['ping', '-c1', '-W0.3', address])).code === 0;

/** Echo requests that reached it. */
async function echoes(edge: Edge): Promise<number> {
  const [names, values] = (await under.lab.must(edge, ['cat', '/proc/net/snmp']))
    .split('\n')
    .filter((line) => line.startsWith('Icmp:'))
    .map((line) => line.split(' '));
  return Number(values?.[names?.indexOf('InEchos') ?? -1]);
}

const hasCarrier = async (edge: Edge): Promise<boolean> =>
  (await under.lab.must(edge, ['ip', '-br', 'link', 'show', 'uplink0'])).includes('LOWER_UP');

/** What each does to a ping of the client: does it arrive, and has the edge carrier? */
const EXPECTED: Readonly<Record<Cut, { arrives: boolean; carrier: boolean }>> = {
  silent: { arrives: false, carrier: true },
  in: { arrives: false, carrier: true },
  out: { arrives: true, carrier: true },
  carrier: { arrives: false, carrier: false },
};

test(
  'a link fails in each of its ways, and heals with addresses and routes',
  { skip },
  async () => {
    for (const how of CUTS) {
      assert.ok(await answers(ADDRESSES['fra-1']), `whole before ${how}`);
      await cut(under.lab, 'fra-1', how);
      assert.deepEqual([...(await cutsOf(under.lab))], [['fra-1', how]]);
      const before = await echoes('fra-1');
      assert.equal(await answers(ADDRESSES['fra-1']), false, how);
      assert.equal((await echoes('fra-1')) > before, EXPECTED[how].arrives, how);
      assert.equal(await hasCarrier('fra-1'), EXPECTED[how].carrier, how);
      assert.ok(await answers(ADDRESSES['nyc-1']), 'the other link is not touched');
      await heal(under.lab, 'fra-1');
      assert.deepEqual([...(await cutsOf(under.lab))], []);
      for (const address of [ADDRESSES['fra-1'], ADDRESSES_V6['fra-1']]) {
        await eventually(`${address} answers again`, () => answers(address), { within: 10_000 });
      }
    }
  },
);

test('two links are cut at once; one is healed and the other stays cut', { skip }, async () => {
  await cut(under.lab, 'fra-1', 'carrier');
  await cut(under.lab, 'test:us-east', 'carrier');
  await heal(under.lab, 'test:us-east');
  for (const address of [ADDRESSES['nyc-1'], ADDRESSES_V6['nyc-1']]) {
    await eventually(`${address} answers again`, () => answers(address), { within: 10_000 });
  }
  assert.equal(await answers(ADDRESSES['fra-1']), false);
  assert.deepEqual([...(await cutsOf(under.lab))], [['fra-1', 'carrier']]);
  await heal(under.lab, 'fra-1');
  await eventually('fra-1 answers again', () => answers(ADDRESSES['fra-1']), { within: 10_000 });
});

test('a link that the lab does not have is named with those it has', { skip }, async () => {
  await assert.rejects(cut(under.lab, 'ber-1', 'silent'), /no link ber-1; it has .*fra-1, nyc-1/);
});

test(
  'a host that is gone is not looked for behind its pid, which others may have',
  { skip },
  async () => {
    await cut(under.lab, 'fra-1', 'silent');
    const { record } = under.lab;
    const hosts = record.hosts.map((host) => ({
      ...host,
      holder: { ...host.holder, startTicks: '1' },
    }));
    const reused = new Lab({ ...record, hosts });
    assert.deepEqual([...(await cutsOf(reused))], []);
    await assert.rejects(heal(reused, 'fra-1'), /router-test is gone/);
    await assert.rejects(cut(reused, 'nyc-1', 'silent'), /router-us-east is gone/);
    await assert.rejects(sever(reused, apart(['ctl-1'], ['etcd-1'])), /fabric is gone/);
    assert.throws(() => reused.pathIn('ctl-1', '/run'), /ctl-1 is gone/);
    assert.deepEqual(adminSockets(reused), []);
    assert.deepEqual([...(await cutsOf(under.lab))], [['fra-1', 'silent']], 'nobody was touched');
    await heal(under.lab, 'fra-1');
  },
);
