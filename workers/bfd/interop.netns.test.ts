/**
 * The bfd process against BIRD's and FRR's own BFD, in namespaces on one link. Times are printed; those
 * that are asserted leave room for a machine that is busy with other tests.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import type { BfdReport } from '../../core/announce/types';
import type { BfdSessionView } from '../../core/model/routing';
import { cannotRun, type Router, type RouterKind, startRouter } from '../../lab/routers';
import { waitFor } from '../../adapters/native/test-support';
import { type BfdHost, lease, type Pair, pair, session } from './testing/bfd-host';

const MULTIPLIER = 3;
const SLACK_MS = 1_000;
/** A session of a router that starts at the slow rate takes some seconds. */
const UP_WITHIN_MS = 30_000;

interface Scene extends Pair {
  router: Router;
  intervalMs: number;
  /** What each end watches the other by. */
  detectMs: number;
}

const sessionsOf = ({ v4, v6 }: Pair, intervalMs: number): ReturnType<typeof session>[] => {
  const timers = { intervalMs, multiplier: MULTIPLIER };
  return [
    session(v4.b, timers),
    session(v6.b, timers),
    session(v4.b, { ...timers, multihop: true, local: v4.a }),
    session(v6.b, { ...timers, multihop: true, local: v6.a }),
  ];
};

const all = (report: BfdReport, is: (view: BfdSessionView) => boolean): boolean =>
  report.sessions.length === 4 && report.sessions.every(is);

async function routerSees(
  { router }: Scene,
  what: string,
  is: (up: boolean) => boolean,
): Promise<void> {
  await waitFor(
    `${router.kind}: ${what}`,
    async () => {
      const sessions = await router.bfd();
      return sessions.length === 4 && sessions.every(({ up }) => is(up));
    },
    UP_WITHIN_MS,
  ).catch(async (error: unknown) => {
    throw new Error(`${String(error)}\n${JSON.stringify(await router.bfd())}\n${router.log()}`);
  });
}

/** Up on both ends, and as fast as wanted. */
async function settled(scene: Scene): Promise<BfdReport> {
  await routerSees(scene, 'all are up', (up) => up);
  const report = await scene.a.until(
    'four sessions up and fast',
    (told) =>
      all(
        told,
        ({ state, transmitIntervalMs, detectTimeMs }) =>
          state === 'up' &&
          transmitIntervalMs === scene.intervalMs &&
          detectTimeMs === scene.detectMs,
      ),
    UP_WITHIN_MS,
  );
  return report;
}

async function setUp(t: TestContext, kind: RouterKind, intervalMs: number): Promise<Scene> {
  const ends = pair(t);
  const { a, b, v4, v6 } = ends;
  const router = await startRouter(
    kind,
    {
      asn: 64502,
      routerId: '10.98.0.2',
      neighbors: [],
      bfdPeers: {
        intervalMs,
        multiplier: MULTIPLIER,
        peers: [
          { address: v4.a },
          { address: v6.a },
          { address: v4.a, multihopFrom: v4.b },
          { address: v6.a, multihopFrom: v6.b },
        ],
      },
      announce: [],
      kernel: false,
    },
    { netns: b.namespace ?? '' },
  );
  t.after(() => router.stop());
  a.start().attach(lease(sessionsOf(ends, intervalMs)));
  return { ...ends, router, intervalMs, detectMs: MULTIPLIER * intervalMs };
}

/** When sessions of ours went down, in ms after `sinceMs`, as the process has logged it. */
const downsSince = ({ log }: BfdHost, sinceMs: number): number[] =>
  log
    .split('\n')
    .filter((line) => line.includes('"from":"up"'))
    .map((line) => Date.parse((JSON.parse(line) as { time: string }).time) - sinceMs)
    .filter((ms) => ms >= 0);

/** Cut, seen by both ends within the detection time, healed. */
async function cutOnce(t: TestContext, scene: Scene, ways: ('in' | 'out')[]): Promise<void> {
  const { a, router, detectMs } = scene;
  const before = (await settled(scene)).sessions.map(({ downs }) => downs);
  const sinceMs = Date.now();
  a.cut(...ways);
  const cutMs = Date.now() - sinceMs;
  const [ours, theirsMs] = await Promise.all([
    a.until(`all went down (${ways.join()})`, (report) =>
      report.sessions.every(({ downs }, i) => downs > (before[i] ?? 0)),
    ),
    routerSees(scene, `all are down (${ways.join()})`, (up) => !up).then(
      () => Date.now() - sinceMs,
    ),
  ]);
  const oursMs = await waitFor('the log', () => {
    const logged = downsSince(a, sinceMs);
    return logged.length >= 4 ? logged : null;
  });
  t.diagnostic(
    `${router.kind} ${scene.intervalMs}×${MULTIPLIER}, cut ${ways.join()}: ours ${oursMs.join(' ')} ms, theirs ≤ ${theirsMs} ms, of which the cut ${cutMs}`,
  );
  // Who is mute learns it only from the other end, which notices first and then says so.
  const most = detectMs + cutMs + SLACK_MS;
  assert.ok(
    Math.max(...oursMs, theirsMs) <= most,
    `${oursMs.join(' ')}, ${theirsMs} ms; ${most} at most`,
  );
  const expired = ours.sessions.filter(
    ({ diagnostic }) => diagnostic === 'Control Detection Time Expired',
  );
  if (ways.includes('in')) assert.equal(expired.length, 4);
  // A peer that we can't hear is told; it need not wait for our silence.
  if (ways.join() === 'in' && scene.intervalMs === 300) {
    assert.ok(theirsMs < Math.max(...oursMs) + detectMs / 2, `${theirsMs} ms`);
  }
  a.heal();
}

for (const kind of ['bird', 'frr'] as const) {
  for (const intervalMs of [300, 100, 50]) {
    const what = `${kind} at ${intervalMs}×${MULTIPLIER}, IPv4 and IPv6, single and several hops`;
    test(
      `${what}: up as negotiated, cuts both ways and one way seen by both ends`,
      {
        skip: cannotRun(kind),
      },
      async (t) => {
        const scene = await setUp(t, kind, intervalMs);
        await settled(scene);
        for (const { up, detectTimeMs } of await scene.router.bfd()) {
          assert.deepEqual([up, detectTimeMs], [true, scene.detectMs]);
        }
        for (const ways of [['in', 'out'], ['in'], ['out']] as ('in' | 'out')[][]) {
          await cutOnce(t, scene, ways);
        }
        await settled(scene);
      },
    );
  }
}

for (const kind of ['bird', 'frr'] as const) {
  test(
    `${kind} hears at once that a session is over by our administrator's wish`,
    {
      skip: cannotRun(kind),
    },
    async (t) => {
      const scene = await setUp(t, kind, 300);
      const { a } = scene;
      await settled(scene);
      const sinceMs = Date.now();
      a.attach(lease([]));
      await routerSees(scene, 'all have ended', (up) => !up);
      const endedMs = Date.now() - sinceMs;
      assert.ok(endedMs < scene.detectMs, `${endedMs} ms: by our silence`);
      a.attach(lease(sessionsOf(scene, 300)));
      await settled(scene);
    },
  );
}

test(
  "a session that FRR's administrator shuts down is told apart from a dead path",
  {
    skip: cannotRun('frr'),
  },
  async (t) => {
    const scene = await setUp(t, 'frr', 300);
    const { a, router, v4 } = scene;
    await settled(scene);
    const commands = ['configure terminal', 'bfd', `peer ${v4.a}`, 'shutdown'];
    // Its sockets lie in a mount namespace of its own (lab/routers/frr.ts).
    execFileSync('nsenter', [
      ...[`--target=${router.pids['bfdd'] ?? 0}`, '--mount', '--'],
      ...['vtysh', '--vty_socket', '/var/tmp/router', ...commands.flatMap((one) => ['-c', one])],
    ]);
    const { sessions } = await a.until('it has ended', (report) =>
      report.sessions.some(({ state }) => state === 'down'),
    );
    const ended = sessions.filter(({ state }) => state === 'down');
    assert.deepEqual(
      ended.map(({ peer, multihop, remoteState, diagnostic }) => [
        peer,
        multihop,
        remoteState,
        diagnostic,
      ]),
      [[v4.b, false, 'adminDown', 'Neighbor Signaled Session Down']],
    );
    await waitFor('the cause', () =>
      /"from":"up","to":"down","cause":"administrative"/.test(a.log),
    );
  },
);

test('two edges at 10×3: up, a silent cut seen by both', async (t) => {
  const { a, b, v4, v6 } = pair(t);
  const timers = { intervalMs: 10, multiplier: MULTIPLIER };
  a.start().attach(lease([session(v4.b, timers), session(v6.b, timers)]));
  b.start().attach(lease([session(v4.a, timers), session(v6.a, timers)]));
  const fast = ({ sessions }: BfdReport): boolean =>
    sessions.length === 2 &&
    sessions.every(({ state, detectTimeMs }) => state === 'up' && detectTimeMs === 30);
  await Promise.all([a, b].map((host) => host.until('up and fast', fast)));
  const sinceMs = Date.now();
  a.cut('in', 'out');
  const cutMs = Date.now() - sinceMs;
  const seen = await Promise.all(
    [a, b].map((host) =>
      waitFor('the cut', () => {
        const downs = downsSince(host, sinceMs);
        return downs.length >= 2 ? downs : null;
      }),
    ),
  );
  t.diagnostic(`10×3: ${seen.flat().join(' ')} ms, of which the cut ${cutMs}`);
  assert.ok(Math.max(...seen.flat()) < 30 + cutMs + SLACK_MS);
});
