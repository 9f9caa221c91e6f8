/**
 * Arbitrary lives on a real kernel: specs applied and deeds of others, then one reconciliation. Says
 * that the model on which plans are rehearsed (core/plan/effects.ts) knows the kernel well enough:
 * each plan runs without a failing step and leaves nothing for a second one.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { reconcile, type Reconciled } from '../../activities/reconcile';
import { openHost } from '../../adapters/native/host';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { EMPTY_LEDGER, type HostPort, type Ledger } from '../../core/model/host';
import { plainFilter, type LinkSpec, type NamespaceSpec } from '../../core/model/node';
import { specOf } from '../../core/plan/testing';

let host: HostPort;
let ledger: Ledger = EMPTY_LEDGER;

const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' });

before(async () => {
  ip('link', 'add', 'uplink0', 'type', 'veth', 'peer', 'name', 'uplink1');
  ip('link', 'add', 'theirs0', 'type', 'veth', 'peer', 'name', 'theirs1');
  ip('addr', 'add', '203.0.113.1/24', 'dev', 'theirs0');
  host = await openHost();
});

after(async () => {
  await run(NOTHING);
  host.close();
  for (const name of ['uplink0', 'theirs0']) ip('link', 'del', name);
});

const link = (n: number, l: number, over: Partial<LinkSpec> = {}): LinkSpec => ({
  name: `h${n}${l}`,
  peer: `p${l}`,
  mtu: 1500,
  hostAddresses: [`10.${n}.${l}.1/24`, `fd00:${n + 1}:${l + 1}::1/64`],
  addresses: [`10.${n}.${l}.2/24`, `fd00:${n + 1}:${l + 1}::2/64`],
  ...over,
});

const namespace = (name: string, n: number, links: LinkSpec[]): NamespaceSpec => ({
  name,
  links,
  routes: [
    { to: '0.0.0.0/0', via: `10.${n}.0.1` },
    { to: '::/0', via: `fd00:${n + 1}:1::1` },
  ],
  sysctls: { 'net.ipv4.ip_forward': '1', 'net.ipv4.conf.p0.rp_filter': '2' },
});

const FILTERS: EdgeSpec['filters'] = [plainFilter('uplink0')];

/** Apart in links, lengths of prefixes, primary addresses, MTU, routes, sysctls and filters. */
const SPECS: EdgeSpec[] = [
  specOf(
    [namespace('alpha', 0, [link(0, 0), link(0, 1)]), namespace('beta', 1, [link(1, 0)])],
    FILTERS,
  ),
  specOf(
    [
      {
        ...namespace('alpha', 0, [
          link(0, 0, {
            mtu: 1400,
            hostAddresses: ['10.0.0.1/24', 'fd00:1:1::1/48'],
            addresses: ['10.0.0.3/24', '10.0.0.2/24', 'fd00:1:1::2/48'],
          }),
        ]),
        sysctls: {},
      },
    ],
    [plainFilter('uplink0', 'generic')],
  ),
  specOf([{ ...namespace('beta', 1, [link(1, 0), link(1, 1, { peer: 'x1' })]), routes: [] }], []),
];

const NOTHING = specOf([]);
const specNumber = (i: number): EdgeSpec => SPECS[i] ?? NOTHING;

/** As somebody would type them; some hit nothing, since what they are about is not there. */
const DEEDS = [
  'ip netns del alpha',
  'ip netns del beta',
  'ip link del h00',
  'ip -n alpha link del p0',
  'ip link set h00 down',
  'ip -n alpha link set p0 down',
  'ip -n beta link set p0 down',
  'ip link set h00 down && ip link set h00 name odd0',
  'ip -n alpha link set p0 down && ip -n alpha link set p0 name odd1 && ip -n alpha link set odd1 up',
  'ip link set h01 netns alpha',
  'ip -n alpha link set p0 netns 1',
  'ip -n beta link set p0 netns alpha',
  'ip link set h00 mtu 1300',
  'ip -n alpha link set p0 mtu 600',
  'ip addr flush dev h00',
  'ip -n alpha addr del 10.0.0.2/24 dev p0',
  'ip -n alpha addr del fd00:1:1::2/64 dev p0',
  'ip addr add 198.51.100.9/32 dev h00',
  'ip -n alpha route del default',
  'ip -n alpha -6 route del default',
  'ip -n beta route add 172.16.0.0/12 via 10.1.0.1 metric 50',
  'ip link set h00 alias ""',
  'ip netns exec alpha sysctl -qw net.ipv4.ip_forward=0',
  'ip netns exec beta sysctl -qw net.ipv4.conf.p0.rp_filter=1',
  'rm -r /sys/fs/bpf/aether',
  'ip link del uplink0; ip link add uplink0 type veth peer name uplink1',
  'umount /run/netns/beta',
];

type Event = { apply: number } | { deed: string };

const event: fc.Arbitrary<Event> = fc.oneof(
  { arbitrary: fc.nat(SPECS.length - 1).map((apply) => ({ apply })), weight: 1 },
  { arbitrary: fc.constantFrom(...DEEDS).map((deed) => ({ deed })), weight: 3 },
);

/** Steps that the kernel refused: none is planned that could be. */
const refused: string[] = [];

const eyesAndHands = (): Pick<HostPort, 'observe' | 'applyAll' | 'filterTag'> => ({
  filterTag: host.filterTag,
  observe: (scope) => host.observe(scope),
  applyAll: async (steps) => {
    const results = await host.applyAll(steps);
    for (const [i, result] of results.entries()) {
      if (!result.ok) refused.push(`${JSON.stringify(steps[i])}: ${result.message}`);
    }
    return results;
  },
});

const run = async (spec: EdgeSpec): Promise<Reconciled> => {
  const saveLedger = async (next: Ledger): Promise<void> => {
    ledger = next;
  };
  const input = { spec, ledger, stages: null, remove: false, planHash: null };
  return reconcile(input, { host: eyesAndHands(), saveLedger }, Date.now);
};

const converges = async (spec: EdgeSpec): Promise<void> => {
  const first = await run(spec);
  assert.equal(first.outcome, 'converged', JSON.stringify(first, null, 1));
  assert.deepEqual(refused.splice(0), [], JSON.stringify(first, null, 1));
  assert.deepEqual((await run(spec)).applied, []);
};

test('after any life one reconciliation leads to the spec, and then to nothing', async () => {
  const theirs = ip('-o', 'addr', 'show', 'dev', 'theirs0', 'scope', 'global');
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { minLength: 3, maxLength: 8 }),
      fc.nat(SPECS.length - 1),
      async (events, last) => {
        await converges(specNumber(0));
        for (const one of events) {
          if ('apply' in one) await converges(specNumber(one.apply));
          else spawnSync('sh', ['-c', one.deed]);
        }
        await converges(specNumber(last));
        await converges(NOTHING);
        assert.deepEqual(ledger, EMPTY_LEDGER);
        const links = ip('-br', 'link').split('\n');
        const left = links.filter((line) => !/^(lo|theirs|uplink|$)/.test(line));
        assert.deepEqual(left, []);
      },
    ),
    { numRuns: 12, interruptAfterTimeLimit: 60_000 },
  );
  assert.equal(ip('-o', 'addr', 'show', 'dev', 'theirs0', 'scope', 'global'), theirs);
});
