/**
 * A router whose whole table comes at once, and goes at once: no session of ours goes down, what is announced
 * stays announced, and the agent grows by no more than the table is worth.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import { cannotRun } from '../../lab/routers';
import {
  announced,
  bfdOf,
  isLeased,
  isUp,
  PATIENCE_MS,
  routedSpec,
  RoutingHost,
  webService,
} from './testing/routing-host';

const skip = cannotRun('bird');
const ROUTES = 100_000;
/** On a busy host. */
const STORM_MS = 150_000;
/** Of the agent, with all of them in the kernel's table: 350 were seen on a starved host, most of it garbage. */
const GROWTH_MAX_MB = 500;

/** /24s from 16.0.0.0 on. */
const prefixAt = (i: number): string => `${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`;

const megabytes = (pid: number, what: 'VmRSS' | 'VmHWM'): number => {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024;
};

test(`${ROUTES} routes come and go at once, and nothing of ours moves`, { skip }, async (t) => {
  const edge = await RoutingHost.create(
    t,
    Array.from({ length: ROUTES }, (_, i) => prefixAt(i)),
  );
  edge.bird('disable', 'own4');
  const spec = routedSpec(1, [webService()]);
  const [neighbor] = spec.bgp?.neighbors ?? [];
  assert.ok(spec.bgp && neighbor);
  const neighbors = [{ ...neighbor, maxPrefixes: 2 * ROUTES }];
  await edge.host.accept({
    ...spec,
    bgp: { ...spec.bgp, neighbors, importPrefixes: ['16.0.0.0/7'], installRoutes: true },
  });
  await edge.startGobgpd();
  const bfd = await edge.startBfd();
  const agent = edge.startAgent();
  await agent.converged(PATIENCE_MS);
  await edge.startServer();
  await edge.until('announced', announced);
  await agent.until('all is well', ({ routing }) => isLeased(routing) && bfdOf(routing) === 'up');
  const pids = { agent: agent.child.pid ?? 0, bfd: bfd.pid ?? 0 };
  const before = megabytes(pids.agent, 'VmRSS');
  const heard = edge.heard();
  /** Of the main table; to list them would cost more than to put them there. */
  const inKernel = (): number => {
    const text = edge.host.exec('cat', '/proc/net/fib_triestat');
    return Number(/Main:[^]*?Prefixes:\s+(\d+)/.exec(text)?.[1]);
  };
  const ownRoutes = inKernel();

  for (const [word, count] of [
    ['enable', ROUTES],
    ['disable', 0],
  ] as const) {
    const beganMs = performance.now();
    edge.bird(word, 'own4');
    await waitFor(`${count} kernel routes`, () => inKernel() === ownRoutes + count, STORM_MS);
    const { routing } = await agent.status();
    assert.ok(isUp(routing) && bfdOf(routing) === 'up');
    const tookMs = performance.now() - beganMs;
    const rss = Object.values(pids).map((pid) => megabytes(pid, 'VmRSS').toFixed(0));
    t.diagnostic(`${word}: ${tookMs.toFixed(0)} ms; RSS of agent, bfd: ${rss.join(', ')} MB`);
  }

  assert.ok(announced(await edge.seen()));
  assert.equal(edge.heard(), heard, 'the same session, and not one update more');
  const [session] = (await edge.report()).sessions;
  assert.deepEqual([session?.state, session?.downs], ['up', 0]);
  assert.deepEqual((await edge.stances()).length, 1);
  const grown = megabytes(pids.agent, 'VmHWM') - before;
  t.diagnostic(`agent: ${before.toFixed(0)} MB before, ${grown.toFixed(0)} more at most`);
  assert.ok(grown < GROWTH_MAX_MB, `the agent grew by ${grown.toFixed(0)} MB`);
});
