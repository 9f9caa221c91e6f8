/** The agent as a process on a real kernel, with neither controller nor Temporal: it guards alone. */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EdgeLocalClient } from '../../adapters/edge-local/client';
import { waitFor } from '../../adapters/native/test-support';
import type { FindingKind } from '../../core/plan/types';
import { exampleSpec, TestHost } from './testing/test-host';

test('builds its host from the spec on its disk, before any connection exists', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(exampleSpec(5));
  const agent = host.startAgent(t);
  const status = await agent.converged();
  assert.equal(status.controller.connected, false);
  assert.equal(status.temporal.connected, false);
  assert.deepEqual(status.problems, []);
  host.exec('ping', '-c1', '-W2', '10.10.1.2');
  host.exec('ip', 'netns', 'exec', 'edge', 'ping', '-c1', '-W2', 'fd10:1::1');
  assert.match(host.exec('ip', '-n', 'edge', 'route'), /^default via 10\.10\.1\.1/m);
  assert.match(host.exec('ip', 'link', 'show', 'uplink0'), /xdp/);
  assert.equal(statSync(host.socket).mode & 0o777, 0o600);
});

/** Commands as a person would type them, and what the agent has to call what they did. */
const FAULTS: { what: string; commands: string[]; finding: FindingKind }[] = [
  { what: 'namespace deleted', commands: ['ip netns del edge'], finding: 'namespaceMissing' },
  { what: 'veth deleted', commands: ['ip link del edge0'], finding: 'linkMissing' },
  { what: 'peer deleted', commands: ['ip -n edge link del eth0'], finding: 'linkMissing' },
  { what: 'link down', commands: ['ip link set edge0 down'], finding: 'linkDown' },
  { what: 'peer down', commands: ['ip -n edge link set eth0 down'], finding: 'peerDown' },
  {
    what: 'address removed',
    commands: ['ip -n edge addr del 10.10.1.2/30 dev eth0'],
    finding: 'addressMissing',
  },
  {
    what: 'route removed',
    commands: ['ip -n edge route del default'],
    finding: 'routeMissing',
  },
  { what: 'MTU changed', commands: ['ip link set edge0 mtu 1400'], finding: 'wrongMtu' },
  {
    what: 'interface renamed',
    commands: ['ip link set edge0 down', 'ip link set edge0 name stolen'],
    finding: 'linkRenamed',
  },
  {
    what: 'sysctl changed',
    commands: ['ip netns exec edge sysctl -qw net.ipv4.ip_forward=0'],
    finding: 'sysctlDiffers',
  },
  {
    what: 'XDP link detached',
    commands: ['rm -r /sys/fs/bpf/aether'],
    finding: 'filterMissing',
  },
];

test('each fault is named, repaired alone, and nothing foreign is touched', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(exampleSpec(5));
  const agent = host.startAgent(t);
  assert.equal((await agent.converged()).lastRepair?.cause, 'spec');
  // Foreign: a namespace, a link, an address on our link's neighbour, a route inside ours.
  host.exec('ip', 'netns', 'add', 'theirs');
  host.exec('ip', 'link', 'add', 'veth9', 'type', 'veth', 'peer', 'name', 'veth10');
  host.exec('ip', 'addr', 'add', '10.99.0.1/24', 'dev', 'veth9');
  host.exec('ip', '-n', 'edge', 'route', 'add', 'blackhole', '10.98.0.0/16');
  const foreign = (): string[] => [
    statSync(`/proc/self/ns/net`).ino.toString(),
    host.exec('ip', '-j', 'link', 'show', 'veth9').replace(/"operstate":"\w+"/, ''),
    host.exec('ip', '-j', 'addr', 'show', 'veth9'),
    host.exec('stat', '-c', '%i', '/run/netns/theirs'),
  ];
  const before = foreign();
  for (const { what, commands, finding } of FAULTS) {
    await t.test(what, async () => {
      const last = (await agent.converged()).lastRepair?.incidentId ?? null;
      for (const command of commands) host.exec(...command.split(' '));
      const status = await agent.until(
        `repaired: ${what}`,
        ({ lastRepair, incident, findings }) =>
          lastRepair !== null &&
          lastRepair.incidentId !== last &&
          lastRepair.outcome === 'converged' &&
          incident === null &&
          findings.length === 0,
      );
      assert.equal(status.lastRepair?.by, 'agent');
      assert.equal(status.lastRepair.cause, 'kernel');
      assert.match(agent.log, new RegExp(`"found":\\["[^\\]]*${finding}`), finding);
      assert.deepEqual(foreign(), before);
      t.diagnostic(
        `${what}: ${status.lastRepair?.repairedInMs?.toFixed(0)} ms of which 50 waiting`,
      );
    });
  }
  host.exec('ping', '-c1', '-W2', '10.10.1.2');
  assert.match(host.exec('ip', 'link', 'show', 'uplink0'), /xdp/);
});

test('ten faults at once are one incident, and one repair mends them', async (t) => {
  const host = await TestHost.create(t);
  const spec = exampleSpec(5);
  spec.namespaces = Array.from({ length: 10 }, (_, i) => ({
    name: `ns${i}`,
    links: [
      {
        name: `link${i}`,
        peer: 'eth0',
        mtu: 1500,
        hostAddresses: [`10.10.${i}.1/30`],
        addresses: [`10.10.${i}.2/30`],
      },
    ],
    routes: [],
    sysctls: {},
  }));
  // Long enough for all ten to have happened.
  spec.repair.autonomyAfterMs = 2_000;
  await host.accept(spec);
  const agent = host.startAgent(t);
  const first = (await agent.converged()).lastRepair?.incidentId;
  const commands = spec.namespaces.map((_, i) =>
    i % 2 === 0 ? `link del link${i}` : `link set link${i} mtu 1300`,
  );
  host.exec('sh', '-c', commands.map((command) => `ip ${command}`).join('; '));
  const status = await agent.until(
    'all ten repaired',
    ({ lastRepair, incident }) => incident === null && lastRepair?.incidentId !== first,
  );
  assert.equal(status.lastRepair?.outcome, 'converged');
  assert.equal(status.budget.used, 1);
  for (let i = 0; i < 10; i++) host.exec('ping', '-c1', '-W2', `10.10.${i}.2`);
});

test('frozen by hand nothing is repaired, also after a restart; thawed it is', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(exampleSpec(5));
  let agent = host.startAgent(t);
  await agent.converged();
  using client = new EdgeLocalClient(host.socket, 'ada@ops');
  const frozen = await client.freeze(0, 'maintenance');
  assert.deepEqual(frozen.frozen, { local: true, node: false, global: false });
  const who = '"audit":true,"by":"ada@ops","verb":"freeze","object":"Node/[^"]+"';
  const line = new RegExp(`${who},"reason":"maintenance","outcome":"done"`);
  await waitFor('its log says who did it', () => line.test(agent.log));
  await assert.rejects(client.freeze(0, 'two\nlines'), { code: 3 });
  await agent.kill();
  agent = host.startAgent(t);
  host.exec('ip', 'link', 'set', 'edge0', 'down');
  const stuck = await agent.until(
    'the agent decided not to',
    ({ lastDecision }) => lastDecision?.decision.kind === 'frozen',
  );
  assert.ok(stuck.findings.some(({ kind }) => kind === 'linkDown'));
  const { sinceMs = 0, ...said } = stuck.freeze ?? {};
  assert.deepEqual(said, { untilMs: null, reason: 'maintenance', by: 'ada@ops' });
  assert.ok(sinceMs > 0);
  assert.doesNotMatch(host.exec('ip', 'link', 'show', 'edge0'), /,UP/);
  await client.unfreeze();
  await agent.converged();
  assert.match(host.exec('ip', 'link', 'show', 'edge0'), /,UP/);
});

test('SIGTERM ends it with 0, leaves the host as it is and takes its socket away', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(exampleSpec(5));
  const agent = host.startAgent(t);
  await agent.converged();
  agent.child.kill('SIGTERM');
  assert.equal(await agent.exited, 0, agent.log);
  assert.ok(!existsSync(host.socket));
  host.exec('ping', '-c1', '-W2', '10.10.1.2');
});

test('a second agent on the same host gives up at once, and the first is not disturbed', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(exampleSpec(5));
  const agent = host.startAgent(t);
  await agent.converged();
  const second = host.startAgent(t);
  assert.equal(await second.exited, 1);
  assert.match(second.log, /another agent serves/);
  await agent.converged();
});

test('a foreign XDP program is named, not replaced, and the rest is repaired beside it', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(exampleSpec(5));
  const agent = host.startAgent(t);
  await agent.converged();
  using client = new EdgeLocalClient(host.socket);
  await client.freeze(0, 'so that ours is not back at once');
  host.exec('rm', '-r', '/sys/fs/bpf/aether');
  const object = join(__dirname, '../../../bpf/build/xdp_root.bpf.o');
  host.exec('ip', 'link', 'set', 'dev', 'uplink0', 'xdp', 'obj', object, 'sec', 'xdp');
  const programOf = (): unknown => {
    const [link] = JSON.parse(host.exec('ip', '-j', 'link', 'show', 'uplink0')) as {
      xdp?: { prog?: { id: number } };
    }[];
    return link?.xdp?.prog?.id;
  };
  const foreign = programOf();
  assert.equal(typeof foreign, 'number');
  host.exec('ip', 'link', 'set', 'edge0', 'down');
  await client.unfreeze();
  const status = await agent.until(
    'only the foreign program is left',
    ({ findings, lastRepair }) =>
      lastRepair?.outcome === 'partial' &&
      findings.length === 1 &&
      findings[0]?.kind === 'filterForeign',
  );
  assert.ok(status.findings[0]?.conflict);
  assert.equal(programOf(), foreign);
  host.exec('ping', '-c1', '-W2', '10.10.1.2');
  host.exec('ip', 'link', 'set', 'dev', 'uplink0', 'xdp', 'off');
  await agent.converged();
  assert.notEqual(programOf(), foreign);
});

test('a scrape has the repair with the incident that its log line names', async (t) => {
  const host = await TestHost.create(t);
  await host.accept(exampleSpec(5));
  const agent = host.startAgent(t);
  await agent.converged();
  host.exec('ip', 'link', 'del', 'edge0');
  const { lastRepair } = await agent.until(
    'repaired',
    ({ lastRepair: last, incident }) =>
      incident === null && last?.repairedInMs !== null && last?.repairedInMs !== undefined,
  );
  const scrape = "fetch('http://127.0.0.1:9701/metrics').then(r=>r.text()).then(t=>console.log(t))";
  const text = host.exec(process.execPath, '-e', scrape);
  const incident = lastRepair?.incidentId ?? '';
  assert.match(
    text,
    /^aether_repairs_total\{class="linkMissing",outcome="converged",by="agent"\} 1$/m,
  );
  assert.match(
    text,
    new RegExp(`^aether_repair_seconds_bucket\\{.*\\} 1 # \\{incident_id="${incident}"\\}`, 'm'),
  );
  assert.match(text, /^aether_agent_incident_open 0$/m);
  assert.match(agent.log, new RegExp(`"incident":"${incident}".*a repair ended`));
});
