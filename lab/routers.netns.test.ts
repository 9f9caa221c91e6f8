import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { cannotRun, startRouter } from './routers';
import type { Router, RouterConfig, RouterKind, RouterNeighbor } from './routers';
import { mustRun, run } from './run';
import { eventually } from './wait';

const KINDS: readonly RouterKind[] = ['bird', 'frr', 'gobgpd'];
const within = 30_000;
const BFD = { intervalMs: 300, multiplier: 3 };
const SERVICE = ['198.51.100.53/32', '2001:db8:53::53/128'];

let pairs = 0;

/** Two namespaces with one veth between them; their names. */
async function twoNamespaces(t: TestContext): Promise<[string, string]> {
  const suffix = `${process.pid}-${(pairs += 1)}`;
  const [a, b] = [`rt-a-${suffix}`, `rt-b-${suffix}`];
  t.after(() => run(['sh', '-c', `ip netns del ${a}; ip netns del ${b}`]));
  await mustRun([
    'sh',
    '-ec',
    `ip netns add ${a}; ip netns add ${b}
     ip link add eth0 netns ${a} type veth peer name eth0 netns ${b}
     for end in "${a} 1" "${b} 2"; do
       set -- $end
       ip netns exec $1 sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad'
       ip -n $1 address add 192.0.2.$2/30 dev eth0
       ip -n $1 address add 2001:db8:1::$2/64 dev eth0
       ip -n $1 link set lo up; ip -n $1 link set eth0 up
     done`,
  ]);
  return [a, b];
}

const config = (number: 1 | 2, options: Partial<RouterNeighbor> = {}): RouterConfig => ({
  asn: 64500 + number,
  routerId: `192.0.2.${number}`,
  neighbors: [`192.0.2.${3 - number}`, `2001:db8:1::${3 - number}`].map((address) => ({
    address,
    asn: 64503 - number,
    ...options,
  })),
  announce: [],
  kernel: false,
});

const areUp = (router: Router): Promise<unknown> =>
  eventually(
    `${router.kind}: both sessions are established`,
    async () => {
      const sessions = await router.sessions();
      if (sessions.length === 2 && sessions.every(({ established }) => established)) return true;
      throw new Error(JSON.stringify(sessions));
    },
    { within },
  );

const hasRoute = (router: Router, prefix: string, asPath: number[]): Promise<unknown> =>
  eventually(
    `${router.kind}: ${prefix} by ${asPath.join(' ')}`,
    async () => {
      const [route] = await router.routes(prefix);
      if (route?.best === true && route.asPath.join() === asPath.join()) return true;
      throw new Error(JSON.stringify(route));
    },
    { within },
  );

/** Its BFD sessions are up, and have negotiated that. */
const detectsWithin = (router: Router, detectTimeMs: number): Promise<unknown> =>
  eventually(
    `${router.kind}: both BFD sessions are up, ${detectTimeMs} ms`,
    async () => {
      const sessions = await router.bfd();
      const good = sessions.filter((one) => one.up && one.detectTimeMs === detectTimeMs);
      if (sessions.length === 2 && good.length === 2) return true;
      throw new Error(JSON.stringify(sessions));
    },
    { within },
  );

/** Fails the test with the logs of both where something throws. */
async function tellingLogs(routers: readonly Router[], body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    console.error(routers.map((router) => router.log()).join('\n'));
    throw error;
  }
}

for (const kind of ['bird', 'frr'] as const) {
  for (const other of KINDS) {
    test(
      `${kind} learns from ${other}, and tells the kernel and whoever asks`,
      {
        skip: cannotRun(kind) || cannotRun(other),
      },
      async (t) => {
        const [here, there] = await twoNamespaces(t);
        // GoBGP's own BFD can reset its session again and again (4.8.0): Aether leaves it off as well.
        const bfd = other === 'gobgpd' ? null : BFD;
        await using router = await startRouter(
          kind,
          { ...config(1, { bfd }), kernel: true },
          { netns: here },
        );
        await using peer = await startRouter(
          other,
          { ...config(2, { bfd }), announce: SERVICE, prepend: 1 },
          { netns: there },
        );
        await tellingLogs([router, peer], async () => {
          await Promise.all([areUp(router), areUp(peer)]);
          for (const prefix of SERVICE) await hasRoute(router, prefix, [64502, 64502]);
          const [route] = await router.routes('198.51.100.53/32');
          assert.equal(route?.nextHop, '192.0.2.2');
          if (bfd !== null) await detectsWithin(router, 900);
          await eventually(
            'the kernel has the routes',
            async () => {
              const v4 = await mustRun(['ip', '-n', here, 'route', 'show', '198.51.100.53']);
              const v6 = await mustRun(['ip', '-n', here, '-6', 'route', 'show', SERVICE[1] ?? '']);
              return v4.includes('via 192.0.2.2') && v6.includes('via ');
            },
            { within },
          );
          await router.reset('192.0.2.2');
          await eventually(
            'the peer saw the session end',
            async () => !(await peer.sessions()).every(({ established }) => established),
            { within, every: 5 },
          );
          await Promise.all([areUp(router), areUp(peer)]);
        });
      },
    );
  }
}

for (const kind of KINDS) {
  test(
    `${kind}: a wrong password keeps the session down, the right one and GTSM do not`,
    {
      skip: cannotRun(kind) || cannotRun('bird'),
    },
    async (t) => {
      const [here, there] = await twoNamespaces(t);
      const guarded = { password: 'secret', ttlSecurity: true };
      await using bird = await startRouter('bird', config(1, guarded), { netns: here });
      {
        await using wrong = await startRouter(kind, config(2, { ...guarded, password: 'wrong' }), {
          netns: there,
        });
        const [session] = await wrong.sessions();
        assert.equal(session?.established, false);
      }
      await using right = await startRouter(kind, config(2, guarded), { netns: there });
      await tellingLogs([bird, right], async () => {
        await Promise.all([areUp(bird), areUp(right)]);
      });
    },
  );
}

for (const kind of ['bird', 'frr'] as const) {
  test(
    `an observer of ${kind} sees every path with the next hop it came with`,
    {
      skip: cannotRun(kind) || cannotRun('gobgpd'),
    },
    async (t) => {
      const [edge, middle] = await twoNamespaces(t);
      const [observer] = await twoNamespaces(t);
      await mustRun([
        'sh',
        '-ec',
        `ip link add eth1 netns ${middle} type veth peer name eth1 netns ${observer}
       ip -n ${middle} address add 192.0.2.5/30 dev eth1; ip -n ${middle} link set eth1 up
       ip -n ${observer} address add 192.0.2.6/30 dev eth1; ip -n ${observer} link set eth1 up`,
      ]);
      const base = config(2);
      await using router = await startRouter(
        kind,
        {
          ...base,
          neighbors: [...base.neighbors, { address: '192.0.2.6', asn: 64599, tellAllPaths: true }],
        },
        { netns: middle },
      );
      await using sees = await startRouter(
        'gobgpd',
        {
          asn: 64599,
          routerId: '192.0.2.6',
          neighbors: [{ address: '192.0.2.5', asn: 64502, hearAllPaths: true }],
          announce: [],
          kernel: false,
        },
        { netns: observer },
      );
      await using source = await startRouter(
        'gobgpd',
        { ...config(1), announce: ['198.51.100.53/32'] },
        { netns: edge },
      );
      await tellingLogs([router, sees, source], async () => {
        await hasRoute(sees, '198.51.100.53/32', [64502, 64501]);
        const [route] = await sees.routes('198.51.100.53/32');
        assert.equal(route?.nextHop, '192.0.2.1');
      });
    },
  );
}

for (const kind of KINDS) {
  test(
    `${kind} leaves nothing behind, also when it hangs or its config is wrong`,
    {
      skip: cannotRun(kind),
    },
    async (t) => {
      const [here] = await twoNamespaces(t);
      const router = await startRouter(kind, config(1), { netns: here });
      const pids = Object.values(router.pids);
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      await router.stop();
      for (const pid of pids) assert.throws(() => process.kill(pid, 0), `${pid} lives`);
      assert.equal(existsSync(router.directory), false);
      const wrong = { ...config(1), routerId: 'nonsense' };
      if (kind === 'frr') return; // It passes over what it does not understand.
      await assert.rejects(startRouter(kind, wrong, { netns: here }), /ended at once/);
    },
  );
}
