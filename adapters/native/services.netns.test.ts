/** Addresses of services on a real kernel: planned, made, reached from the host, and repaired. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test, type TestContext } from 'node:test';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { EMPTY_LEDGER, type HostPort, type Ledger } from '../../core/model/host';
import type { NamespaceSpec } from '../../core/model/node';
import { exampleEdgeService } from '../../core/model/testing';
import { intend, record } from '../../core/plan/ledger';
import { observeScope } from '../../core/plan/observe-scope';
import { plan, type PlanInput, summaries } from '../../core/plan/plan';
import { specOf } from '../../core/plan/testing';
import type { Plan } from '../../core/plan/types';
import { openHost } from './host';
import { ip, uniqueName } from './test-support';

const V4 = '203.0.113.77';
const V6 = '2001:db8:77::1';

let host: HostPort;
before(async () => {
  host = await openHost();
});
after(() => host.close());

/** A host's agent, as far as a plan needs one. */
class Agent {
  #ledger: Ledger = EMPTY_LEDGER;

  async look(spec: EdgeSpec): Promise<Plan> {
    return plan(await this.#input(spec));
  }

  async #input(spec: EdgeSpec): Promise<PlanInput> {
    const observed = await host.observe(observeScope(spec, this.#ledger));
    return { spec, observed, ledger: this.#ledger, filterTag: host.filterTag, stages: null };
  }

  /** Runs one plan; what it did. A second one has nothing to add. */
  async converge(spec: EdgeSpec): Promise<string[]> {
    const first = plan(await this.#input(spec));
    for (const wave of first.waves) {
      const { observed } = await this.#input(spec);
      this.#ledger = intend(this.#ledger, wave, observed);
      const results = await host.applyAll(wave.map(({ step }) => step));
      for (const result of results) assert.ok(result.ok, JSON.stringify(result));
      this.#ledger = record(this.#ledger, wave, results);
    }
    assert.deepEqual(plan(await this.#input(spec)).findings, []);
    return summaries(first);
  }
}

function edge(t: TestContext) {
  const agent = new Agent();
  const namespace: NamespaceSpec = {
    name: uniqueName('s'),
    links: [
      {
        name: uniqueName('l'),
        peer: 'eth0',
        mtu: 1500,
        hostAddresses: ['10.77.77.1/30', 'fd77:77::1/64'],
        addresses: ['10.77.77.2/30', 'fd77:77::2/64'],
      },
    ],
    routes: [],
    sysctls: {},
  };
  const plain = specOf([namespace]);
  const serving = (...addresses: string[]): EdgeSpec => ({
    ...plain,
    services: [exampleEdgeService('web', addresses, namespace.name)],
  });
  t.after(() => agent.converge(specOf([])));
  return { agent, plain, serving, namespace: namespace.name, link: namespace.links[0]!.name };
}

/** From the host, by its own route; the answer comes back by the namespace's link. */
const reached = (address: string): void =>
  void execFileSync('ping', ['-c1', '-W2', address], { encoding: 'utf8' });

const served = (namespace: string): string =>
  [
    ip('-n', namespace, 'addr', 'show', 'dev', 'lo'),
    ip('route', 'show', 'proto', '174'),
    ip('-6', 'route', 'show', 'proto', '174'),
  ].join('');

test('what a service serves is reached through the host, and goes without a trace', async (t) => {
  const { agent, plain, serving, namespace } = edge(t);
  await agent.converge(serving(V4, V6));
  reached(V4);
  reached(V6);
  await agent.converge(plain);
  assert.ok(!served(namespace).includes(V4) && !served(namespace).includes(V6));
});

test('of a prefix, what is not served is dropped on the host and not sent back', async (t) => {
  const { agent, plain, serving, namespace } = edge(t);
  const spec = serving(V4, V6);
  const wide = ['203.0.113.0/24', '2001:db8:77::/48'];
  const wider = { ...spec, services: spec.services.map((each) => ({ ...each, prefixes: wide })) };
  const discards = (): string =>
    ip('route', 'show', 'type', 'blackhole') + ip('-6', 'route', 'show', 'type', 'blackhole');
  await agent.converge(wider);
  reached(V4);
  reached(V6);
  for (const prefix of wide)
    assert.match(discards(), new RegExp(`blackhole ${prefix} .*proto 174`));
  ip('route', 'del', 'blackhole', '203.0.113.0/24');
  await agent.converge(wider);
  for (const prefix of wide) assert.match(discards(), new RegExp(`blackhole ${prefix} `));
  ip('route', 'add', 'blackhole', '198.51.100.0/24', 'proto', 'static');
  await agent.converge(plain);
  assert.equal(discards().match(/blackhole/g)?.length, 1, 'only that of others is left');
  assert.ok(!served(namespace).includes(V4));
  ip('route', 'del', 'blackhole', '198.51.100.0/24');
});

test('what others take away of it comes back, and what they have beside it stays', async (t) => {
  const { agent, serving, namespace, link } = edge(t);
  const spec = serving(V4, V6);
  await agent.converge(spec);
  ip('-n', namespace, 'addr', 'add', '198.51.100.77/32', 'dev', 'lo');
  ip('route', 'add', '198.51.100.0/24', 'via', '10.77.77.2', 'proto', 'static');
  const deeds: [string[], RegExp][] = [
    [['-n', namespace, 'addr', 'del', `${V4}/32`, 'dev', 'lo'], /add address 203\.0\.113\.77\/32/],
    [['route', 'del', `${V4}/32`], /add route 203\.0\.113\.77\/32/],
    [['-6', 'route', 'del', `${V6}/128`], /add route 2001:db8:77::1\/128/],
    [['-n', namespace, 'link', 'set', 'dev', 'lo', 'down'], /set link \S+\/lo up/],
    [['link', 'set', 'dev', link, 'down'], /add route 203\.0\.113\.77\/32/],
    [['link', 'delete', 'dev', link], /create veth/],
  ];
  for (const [deed, expected] of deeds) {
    ip(...deed);
    assert.match((await agent.converge(spec)).join('\n'), expected, deed.join(' '));
    reached(V4);
    reached(V6);
  }
  assert.match(served(namespace), /198\.51\.100\.77/);
});

test('a route of others in its place is told, and left alone', async (t) => {
  const { agent, plain, serving, link } = edge(t);
  await agent.converge(plain);
  ip('route', 'add', `${V4}/32`, 'via', '10.77.77.2', 'dev', link, 'proto', 'static');
  assert.deepEqual(await agent.converge(serving(V4)).then(summarised), ['lo up', 'address']);
  ip('route', 'replace', `${V4}/32`, 'dev', 'lo', 'proto', 'static');
  const [finding] = (await agent.look(serving(V4))).findings;
  assert.deepEqual([finding?.kind, finding?.conflict], ['routeMissing', true]);
  assert.match(ip('route', 'show', `${V4}/32`), /dev lo proto static/);
  ip('route', 'del', `${V4}/32`);
});

/** What was done, in a word each. */
const summarised = (steps: string[]): string[] =>
  steps.map((step) => (step.endsWith('lo up') ? 'lo up' : (step.split(' ')[1] ?? '')));
