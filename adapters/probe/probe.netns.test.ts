/** Probes against real servers in a namespace, by the path that a packet takes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import type { ProbeSpec } from '../../core/model/anycast';
import { ip, testNamespace, uniqueName, waitFor } from '../native/test-support';
import { askProbe, type Question } from './probe';

const ADDRESS = '203.0.113.10';
const V6 = '2001:db8:f::10';

/** A namespace with the addresses on its `lo`, and the routes of the host to them. */
async function place(t: TestContext): Promise<{ namespace: string; host: string }> {
  const host = uniqueName('pr');
  // Before its namespace goes, which takes it along whenever the kernel finds the time.
  t.after(() => ip('link', 'del', host));
  const { name: namespace } = await testNamespace(t);
  assert.ok(namespace !== null);
  ip('link', 'add', host, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  const inside = (...args: string[]): string => ip('-n', namespace, ...args);
  ip('address', 'add', '10.9.0.1/31', 'dev', host);
  ip('address', 'add', '2001:db8:9::1/64', 'dev', host, 'nodad');
  ip('link', 'set', host, 'up');
  inside('address', 'add', '10.9.0.0/31', 'dev', 'eth0');
  inside('address', 'add', '2001:db8:9::2/64', 'dev', 'eth0', 'nodad');
  for (const link of ['lo', 'eth0']) inside('link', 'set', link, 'up');
  inside('address', 'add', `${ADDRESS}/32`, 'dev', 'lo');
  inside('address', 'add', `${V6}/128`, 'dev', 'lo', 'nodad');
  ip('route', 'add', `${ADDRESS}/32`, 'via', '10.9.0.0');
  ip('-6', 'route', 'add', `${V6}/128`, 'via', '2001:db8:9::2');
  return { namespace, host };
}

/** A server of TCP, HTTP and DNS in a namespace; it prints a line when it listens. */
const SERVER = `
  const { createServer } = require('node:http');
  const { createSocket } = require('node:dgram');
  const http = createServer((request, response) => {
    if (request.url === '/endless') { response.writeHead(200); setInterval(() => response.write('x'), 10); return; }
    if (request.url === '/silent') return;
    response.writeHead(request.url === '/health' ? 200 : 404).end();
  });
  // Bound to the address itself: of a wildcard the kernel would answer from another one.
  const answering = (type, address, then) => {
  const dns = createSocket(type);
  dns.bind(5353, address, then);
  dns.on('message', (query, from) => {
    const bad = Buffer.from(query); bad[0] ^= 1; bad[2] |= 0x80;
    dns.send(bad, from.port, from.address);
    const answer = Buffer.from(query); answer[2] |= 0x80; answer[3] = query.includes('gone') ? 3 : 0;
    if (!query.includes('silent')) dns.send(answer, from.port, from.address);
  });
  };
  http.listen(8080, '::', () =>
    answering('udp4', '${ADDRESS}', () =>
      answering('udp6', '${V6}', () => console.log('listening'))));
`;

async function serve(t: TestContext, namespace: string): Promise<void> {
  const server = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', SERVER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  });
  await once(server.stdout, 'data');
}

const question = (
  namespace: string,
  probe: ProbeSpec,
  address: string | null = ADDRESS,
): Question => ({
  service: 'dns',
  namespace,
  probe,
  address,
  addresses: [ADDRESS],
  timeoutMs: 500,
});

test('servers in the namespace answer by the path of a packet, IPv4 and IPv6', async (t) => {
  const { namespace } = await place(t);
  await serve(t, namespace);
  const why = async (probe: ProbeSpec, address?: string): Promise<string | null> =>
    (await askProbe(question(namespace, probe, address))).why;
  const http = (path: string): ProbeSpec => ({ kind: 'http', port: 8080, path, status: 200 });
  const dns = (name: string, rcode = 0): ProbeSpec => ({ kind: 'dns', port: 5353, name, rcode });
  for (const address of [ADDRESS, V6]) {
    const tcp: ProbeSpec = { kind: 'tcp', port: 8080 };
    // A link that has just come up carries IPv6 a little later.
    await waitFor(`${address} answers`, async () => (await why(tcp, address)) === null);
    assert.equal(await why(http('/health'), address), null, `http ${address}`);
    assert.equal(await why(dns('a.example'), address), null, `dns ${address}`);
  }
  assert.equal(await why(http('/endless')), null);
  assert.equal(await why(http('/other')), 'status 404, not 200');
  assert.equal(await why(http('/silent')), 'no answer within 500 ms');
  assert.equal(await why(dns('gone.example')), 'NXDOMAIN, not NOERROR');
  assert.equal(await why(dns('gone.example', 3)), null);
  assert.equal(await why(dns('silent.example')), 'no answer within 500 ms');
  assert.match((await why({ kind: 'tcp', port: 9 })) ?? '', /ECONNREFUSED/);
  assert.match((await why({ ...dns('a.example'), port: 9 } as ProbeSpec)) ?? '', /ECONNREFUSED/);
});

test('what breaks the path is seen by the probe', async (t) => {
  const { namespace, host } = await place(t);
  await serve(t, namespace);
  const tcp: ProbeSpec = { kind: 'tcp', port: 8080 };
  const why = async (): Promise<string | null> => (await askProbe(question(namespace, tcp))).why;
  assert.equal(await why(), null);
  ip('-n', namespace, 'address', 'del', `${ADDRESS}/32`, 'dev', 'lo');
  assert.notEqual(await why(), null);
  ip('-n', namespace, 'address', 'add', `${ADDRESS}/32`, 'dev', 'lo');
  assert.equal(await why(), null);
  ip('link', 'set', host, 'down');
  assert.notEqual(await why(), null);
});

const commandsOf = (marker: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(marker);
    } catch {
      return false;
    }
  });

test('a command runs inside the namespace, knows its service, and says why it failed', async (t) => {
  const { namespace } = await place(t);
  const run = async (script: string): Promise<string | null> => {
    const probe: ProbeSpec = { kind: 'command', argv: ['sh', '-c', script] };
    return (await askProbe(question(namespace, probe, null))).why;
  };
  assert.equal(await run(`ip -o address show dev lo | grep -q "$AETHER_ADDRESSES/32"`), null);
  assert.equal(await run('test "$AETHER_SERVICE" = dns'), null);
  assert.equal(await run('test -z "$AETHER_TLS_KEY"'), null);
  assert.equal(await run('echo first >&2; echo no disk >&2; exit 3'), 'sh ended with 3: no disk');
  const missing = await askProbe(
    question(namespace, { kind: 'command', argv: ['/no/such/thing'] }, null),
  );
  assert.match(missing.why ?? '', /no such thing|No such file/);
  const nowhere = await askProbe(question('no-such-ns', { kind: 'command', argv: ['true'] }, null));
  assert.notEqual(nowhere.why, null);
});

test('of a command whose time is up, or that leaves children behind, nothing is left', async (t) => {
  const { namespace } = await place(t);
  const marker = uniqueName('leak');
  const run = (script: string): Promise<{ why: string | null; tookMs: number }> =>
    askProbe(question(namespace, { kind: 'command', argv: ['sh', '-c', script] }, null));
  const nap = `${process.execPath} -e "setTimeout(() => 0, 60000)" ${marker}`;
  const late = await run(`trap '' TERM; ${nap} & ${nap}`);
  assert.equal(late.why, 'no answer within 500 ms');
  assert.ok(late.tookMs < 2_000);
  await waitFor('all of it is gone', () => commandsOf(marker).length === 0);
  assert.equal((await run(`${nap} >&2 & exit 0`)).why, null);
  await waitFor('its child is gone', () => commandsOf(marker).length === 0);
});

test('who waits no longer gets an answer at once', async (t) => {
  const { namespace } = await place(t);
  const stop = new AbortController();
  const probe: ProbeSpec = { kind: 'command', argv: ['sleep', '60'] };
  const asked = askProbe({ ...question(namespace, probe, null), timeoutMs: 60_000 }, stop.signal);
  stop.abort();
  assert.notEqual((await asked).why, null);
});
