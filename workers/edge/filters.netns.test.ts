/** What packets meet: the real agent on a host with a neighbour, and no control plane at all. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { OverrideResponse } from '../../adapters/edge-local/proto';
import { EdgeLocalClient } from '../../adapters/edge-local/client';
import { waitFor } from '../../adapters/native/test-support';
import { prefixSet } from '../../core/filter/algebra';
import { chunk, pack } from '../../core/filter/blob';
import type { EdgeBlocklist, EdgeSpec } from '../../core/model/edge-spec';
import { exampleEdgeService } from '../../core/model/testing';
import { exampleSpec, type TestAgent, TestHost } from './testing/test-host';

/** The neighbour's addresses, each of which can be blocked on its own. */
const NEAR = ['192.0.2.9', '192.0.2.10', '2001:db8::9'] as const;

const NEIGHBOUR = `
ip netns add router && ip link set router0 netns router
ip addr add 192.0.2.1/24 dev uplink0 && ip addr add 2001:db8::1/64 dev uplink0 nodad
ip -n router link set router0 up
ip -n router addr add 192.0.2.9/24 dev router0 && ip -n router addr add 192.0.2.10/24 dev router0
ip -n router addr add 2001:db8::9/64 dev router0 nodad`;

async function place(t: TestContext, spec: EdgeSpec): Promise<TestHost> {
  const host = await TestHost.create(t);
  host.exec('sh', '-ec', NEIGHBOUR);
  await host.accept(spec);
  return host;
}

/** Whether the host answers the neighbour at that address. */
function reaches(host: TestHost, source: (typeof NEAR)[number]): boolean {
  const target = source.includes(':') ? '2001:db8::1' : '192.0.2.1';
  try {
    host.exec(...['ip', 'netns', 'exec', 'router', 'ping', '-c1', '-W0.5', '-I', source, target]);
    return true;
  } catch {
    return false;
  }
}

/** Enough for a sample, of which each CPU takes one in 256. */
const SENT = 600;

const reaching = (host: TestHost): readonly string[] => NEAR.filter((near) => reaches(host, near));

async function override(
  { socket }: TestHost,
  verdict: string,
  prefix: string,
  forMs = 0,
): Promise<OverrideResponse> {
  using client = new EdgeLocalClient(socket);
  return await client.override({ prefix, verdict, reason: 'a test', forMs });
}

/** A list whose chunks lie on the disk, as they were fetched. */
function onDisk(host: TestHost, ...prefixes: string[]): EdgeBlocklist {
  const { ref, chunks } = chunk(pack(prefixSet(prefixes)));
  const at = join(host.stateDirectory, 'chunks');
  mkdirSync(at, { recursive: true });
  for (const [i, { sha256 }] of ref.chunks.entries()) {
    writeFileSync(join(at, sha256), chunks[i] ?? '');
  }
  return { name: 'bad', mode: 'enforce', blob: ref };
}

async function started(t: TestContext, host: TestHost): Promise<TestAgent> {
  const agent = host.startAgent(t);
  await agent.converged();
  return agent;
}

test('a block by hand kills the packets at once, and ends by itself', async (t) => {
  const host = await place(t, exampleSpec(5));
  await started(t, host);
  assert.deepEqual(reaching(host), NEAR);
  const answer = await override(host, 'block', '192.0.2.9', 3_000);
  assert.deepEqual([answer.effective, answer.note], [true, '']);
  assert.deepEqual(reaching(host), NEAR.slice(1));
  await waitFor('it has ended', () => reaches(host, '192.0.2.9'));
  const six = await override(host, 'block', '2001:db8::/120');
  assert.equal(six.effective, true);
  assert.deepEqual(reaching(host), NEAR.slice(0, 2));
});

test('killed and started again the agent leaves no gap, and still knows what was blocked', async (t) => {
  const host = await place(t, exampleSpec(5));
  const first = await started(t, host);
  await override(host, 'block', '192.0.2.9');
  await override(host, 'allow', '192.0.2.10');
  await override(host, 'block', '192.0.2.0/28');
  await first.kill();
  assert.deepEqual(reaching(host), NEAR.slice(1));
  const second = host.startAgent(t);
  // From the first packet on, not only once it has settled.
  for (let i = 0; i < 3; i += 1) assert.equal(reaches(host, '192.0.2.9'), false);
  const { filters } = await second.converged();
  assert.deepEqual(
    filters?.overrides.map(({ verdict, prefix }) => `${verdict} ${prefix}`),
    ['block 192.0.2.9/32', 'allow 192.0.2.10/32', 'block 192.0.2.0/28'],
  );
  await override(host, 'none', '192.0.2.0/28');
  await override(host, 'none', '192.0.2.9');
  assert.deepEqual(reaching(host), NEAR);
});

test('failsafe wins over a block by hand, and the answer says so', async (t) => {
  const host = await place(t, exampleSpec(5));
  const agent = host.startAgent(t, { env: { AETHER_FAILSAFE: '192.0.2.9' } });
  await agent.converged();
  const one = await override(host, 'block', '192.0.2.9');
  assert.equal(one.effective, false);
  assert.match(one.note, /192\.0\.2\.9\/32 is failsafe: it can never be blocked/);
  const all = await override(host, 'block', '192.0.2.0/24');
  assert.equal(all.effective, true);
  assert.match(all.note, /192\.0\.2\.9\/32/);
  assert.deepEqual(reaching(host), ['192.0.2.9', '2001:db8::9']);
});

test('a list on the disk is enforced from the start; gone bad there it goes on in the kernel', async (t) => {
  const host = await place(t, exampleSpec(5));
  const list = onDisk(host, '192.0.2.9/32', '203.0.113.0/24', '2001:db8::9/128');
  await host.accept({ ...exampleSpec(6), blocklists: [list] });
  const first = await started(t, host);
  assert.deepEqual(reaching(host), ['192.0.2.10']);
  await first.kill();
  const [piece] = list.blob.chunks;
  assert.ok(piece);
  writeFileSync(join(host.stateDirectory, 'chunks', piece.sha256), 'rubbish');
  const second = host.startAgent(t);
  await second.until('it runs', ({ accepted }) => accepted?.revision === 6);
  await second.until('it has looked', ({ findings }) => findings.length === 0);
  assert.deepEqual(reaching(host), ['192.0.2.10']);
  await second.until('it is to be fetched again', ({ filters }) =>
    Boolean(filters?.lists[0]?.chunksMissing === 1),
  );
  // To change the set takes all of the list; that it can't be done yet is said, not passed over.
  const answer = await override(host, 'block', '192.0.2.10');
  assert.equal(answer.effective, false);
  assert.match(answer.note, /uplink0 does not hold it: chunk/);
  assert.deepEqual(reaching(host), ['192.0.2.10']);
});

test('with a full disk a block takes effect all the same, and is said not to last', async (t) => {
  const host = await place(t, exampleSpec(5));
  const at = host.stateDirectory;
  host.exec('sh', '-ec', `cd ${at}; cp spec.json ..; mount -t tmpfs -o size=64k tmpfs ${at}`);
  host.exec('cp', `${at}/../spec.json`, `${at}/spec.json`);
  await started(t, host);
  // A file that is just being replaced leaves its room behind: filled and tried again.
  const answer = await waitFor('it is said', async () => {
    host.exec('sh', '-c', `dd if=/dev/zero of=${at}/ballast bs=4k 2>/dev/null || true`);
    const said = await override(host, 'block', '192.0.2.9');
    return /memory\.json .*ENOSPC/.test(said.note) ? said : null;
  });
  assert.equal(answer.effective, true);
  assert.equal(reaches(host, '192.0.2.9'), false);
});

test('what became of the packets is counted by reason, for people and for Prometheus', async (t) => {
  const host = await place(t, exampleSpec(5));
  await started(t, host);
  await override(host, 'block', '192.0.2.9');
  const ping = `ping -c${SENT} -i0.002 -W1 -q -I 192.0.2.9 192.0.2.1 || true`;
  host.exec('ip', 'netns', 'exec', 'router', 'sh', '-c', ping);
  using client = new EdgeLocalClient(host.socket);
  const { filters } = await client.ask({ kind: 'stats' });
  const [uplink] = filters;
  assert.equal(uplink?.interface, 'uplink0');
  assert.equal(uplink.counters.dropBlock.packets, SENT);
  assert.equal(uplink.counters.dropBlock.bytes, SENT * 98);
  assert.deepEqual([uplink.blocked, uplink.problem], [1, null]);
  const { entries } = await client.ask({ kind: 'top', sinceMs: 0, limit: 10 });
  assert.ok(entries.some(({ source, reason }) => source === '192.0.2.9' && reason === 'dropBlock'));
  const scrape = "fetch('http://127.0.0.1:9701/metrics').then(r=>r.text()).then(t=>console.log(t))";
  const scraped = host.exec(process.execPath, '-e', scrape);
  const counted = `aether_filter_packets_total{interface="uplink0",reason="dropBlock"} ${SENT}`;
  assert.ok(scraped.split('\n').includes(counted), scraped);
  assert.match(scraped, /^aether_filter_prefixes\{interface="uplink0",set="block"\} 1$/m);
  assert.match(scraped, /^aether_filter_memory_bytes\{interface="uplink0"\} \d{4,}$/m);
});

test('what passes to a service is counted by its address, over changes of the spec', async (t) => {
  const service = '198.51.100.53';
  const spec = { ...exampleSpec(5), services: [exampleEdgeService('web', [service])] };
  const host = await place(t, spec);
  await started(t, host);
  host.exec(...`ip -n router route add ${service}/32 via 192.0.2.1`.split(' '));
  const send = (count: number): string => {
    const ping = `ping -c${count} -i0.002 -W1 -q ${service} || true`;
    return host.exec('ip', 'netns', 'exec', 'router', 'sh', '-c', ping);
  };
  using client = new EdgeLocalClient(host.socket);
  const packets = async (): Promise<[string, number][]> =>
    (await client.ask({ kind: 'services' })).services.map((each) => [each.address, each.packets]);
  assert.deepEqual(await packets(), [[service, 0]]);
  send(5);
  assert.deepEqual(await packets(), [[service, 5]]);
  await override(host, 'block', '192.0.2.10');
  send(2);
  assert.deepEqual(await packets(), [[service, 7]]);
  await override(host, 'block', '192.0.2.9');
  send(3);
  assert.deepEqual(await packets(), [[service, 7]], 'dropped');
});
