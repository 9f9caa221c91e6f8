/**
 * For tests of announcing: an edge host with agent, gobgpd and bfd process as siblings, a router (BIRD)
 * behind its uplink, and a service in its namespace. All real; no controller anywhere.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { BfdClient } from '../../../adapters/bfd/client';
import { EdgeLocalClient } from '../../../adapters/edge-local/client';
import { waitFor } from '../../../adapters/native/test-support';
import { CheckedFile } from '../../../adapters/state/checked-file';
import type { RoutingMemory } from '../../../core/announce/decide';
import type { RoutingEvent } from '../../../core/model/routing';
import { GRACEFUL_SHUTDOWN, type EdgeService } from '../../../core/model/anycast';
import type { EdgeSpec } from '../../../core/model/edge-spec';
import type { EdgeStatus } from '../../../core/model/messages';
import { startRouter, type Router, type RouterRoute } from '../../../lab/routers';
import { exampleSpec, TestHost, type TestAgent } from './test-host';

const GOBGPD = resolve(__dirname, '../../../../.tools/bin/gobgpd');
/** On a busy host what has no bound of its own may take its time. */
export const PATIENCE_MS = 60_000;
const BFD = join(__dirname, '../../bfd.js');

export const PREFIX = '203.0.113.10/32';
export const ADDRESS = '203.0.113.10';
export const PORT = 8080;
const HERE = '192.0.2.2';
const THERE = '192.0.2.1';
export const OWN_ASN = 64_512;
/** Slow: what is tried here is who restarts, not how soon BFD tells of it on a busy host. */
const BFD_TIMERS = { intervalMs: 1_000, multiplier: 5 };

export const webService = (change: Partial<EdgeService> = {}): EdgeService => ({
  name: 'web',
  namespace: 'edge',
  prefixes: [PREFIX],
  addresses: [ADDRESS],
  commanded: { stance: 'announce', why: '' },
  permit: true,
  lastAnnouncer: 'deprefer',
  health: {
    probe: { kind: 'tcp', port: PORT },
    intervalMs: 100,
    timeoutMs: 1_000,
    failures: 2,
    successes: 2,
  },
  communities: ['65000:100'],
  prepend: 0,
  ...change,
});

export const routedSpec = (revision: number, services: EdgeService[]): EdgeSpec => ({
  ...exampleSpec(revision),
  bgp: {
    asn: OWN_ASN,
    routerId: HERE,
    listenPort: null,
    importPrefixes: [],
    installRoutes: false,
    neighbors: [
      {
        address: THERE,
        asn: 64_501,
        passwordRef: null,
        ttlSecurity: false,
        multihop: null,
        holdTimeMs: 9_000,
        maxPrefixes: 10,
        bfd: { ...BFD_TIMERS, holdDownMs: 500 },
      },
    ],
  },
  services,
});

/** Answers on the service's port, whatever address it is asked at. */
const SERVER = `require('node:net').createServer((s) => s.end()).listen(${PORT}, '::', () => console.log('listening'))`;

export class RoutingHost {
  readonly bfdSocket: string;
  readonly gobgpSocket: string;
  router!: Router;
  private readonly children = new Set<ChildProcess>();
  private server: ChildProcess | null = null;

  private constructor(
    private readonly t: TestContext,
    readonly host: TestHost,
  ) {
    this.bfdSocket = join(host.directory, 'bfd.sock');
    this.gobgpSocket = join(host.directory, 'gobgp.sock');
  }

  /** `announce`: what the router announces from the start. */
  static async create(t: TestContext, announce: string[] = []): Promise<RoutingHost> {
    const host = await TestHost.create(t);
    const self = new RoutingHost(t, host);
    // Hooks run in the order of their registration: the host goes last all the same, it waits for nobody.
    t.after(() => self.end());
    await self.furnish(announce);
    return self;
  }

  /** A command of this host, as a person would type it. */
  exec(line: string): string {
    return this.host.exec(...line.split(' '));
  }

  /** What the agent keeps for a controller, as it is on its disk. */
  async kept(): Promise<RoutingEvent[]> {
    return (await this.memory())?.outbox.unsent ?? [];
  }

  /** Of those, how services stood and why that changed. */
  async stances(): Promise<string[]> {
    return (await this.kept()).flatMap((event) =>
      event.kind === 'stance' ? [`${event.from} → ${event.to} (${event.cause ?? ''})`] : [],
    );
  }

  /** What the agent knows of routing after a restart; null: nothing. */
  async memory(): Promise<RoutingMemory | null> {
    const path = join(this.host.stateDirectory, 'routing.json');
    const loaded = await new CheckedFile<RoutingMemory>(path).load();
    return loaded.kind === 'value' ? loaded.value : null;
  }

  /** For whoever starts from now on the host has come up anew. */
  reboot(): void {
    const path = join(this.host.directory, 'boot_id');
    writeFileSync(path, `${randomUUID()}\n`);
    this.exec(`mount --bind ${path} /proc/sys/kernel/random/boot_id`);
  }

  /** What `aether edge …` says on this host. */
  cli(...words: string[]): string {
    const script = join(__dirname, '../../../cli/main.js');
    return this.host.exec(process.execPath, script, 'edge', ...words);
  }

  async startGobgpd(): Promise<ChildProcess> {
    this.exec(`rm -f ${this.gobgpSocket}`);
    const argv = [
      GOBGPD,
      `--api-hosts=unix://${this.gobgpSocket}`,
      '--pprof-disable',
      '--metrics-path=',
    ];
    return this.run(argv, {});
  }

  async startBfd(): Promise<ChildProcess> {
    const child = this.run([process.execPath, BFD], {
      AETHER_BFD_SOCKET: this.bfdSocket,
      AETHER_GOBGP_SOCKET: this.gobgpSocket,
      AETHER_STATE_DIR: join(this.host.directory, 'bfd'),
      AETHER_METRICS_LISTEN: '127.0.0.1:9702',
    });
    await waitFor('the bfd process answers', () => this.report().catch(() => null), 30_000);
    return child;
  }

  startAgent(env: Record<string, string> = {}): TestAgent {
    return this.host.startAgent(this.t, {
      env: { AETHER_BFD_SOCKET: this.bfdSocket, AETHER_GOBGP_SOCKET: this.gobgpSocket, ...env },
    });
  }

  /** In the namespace, which somebody may be about to make. */
  async startServer(): Promise<void> {
    const argv = ['ip', 'netns', 'exec', 'edge', process.execPath, '-e', SERVER];
    await waitFor(
      'the service listens',
      async () => {
        const server = this.run(argv, {});
        const ended = once(server, 'exit').then(() => false);
        const listens = server.stdout === null ? ended : once(server.stdout, 'data');
        this.server = server;
        return (await Promise.race([ended, listens])) !== false;
      },
      30_000,
    );
  }

  async killServer(): Promise<void> {
    if (this.server !== null) await this.kill(this.server);
  }

  /** SIGKILL unless told otherwise, and wait for the end. */
  async kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  client(): EdgeLocalClient {
    return new EdgeLocalClient(this.host.socket);
  }

  async report() {
    using client = new BfdClient(this.bfdSocket);
    return await client.look();
  }

  /** What the router has of the service; null = nothing. */
  async seen(): Promise<RouterRoute | null> {
    const routes = await this.router.routes(PREFIX).catch((error: Error) => {
      if (error.message.includes('Network not found')) return [];
      throw error;
    });
    return routes[0] ?? null;
  }

  /** Waits until the router sees it so; gives the ms that took. */
  async until(
    what: string,
    holds: (route: RouterRoute | null) => boolean,
    deadlineMs = 60_000,
  ): Promise<number> {
    const beganMs = performance.now();
    let last: RouterRoute | null = null;
    try {
      await waitFor(what, async () => holds((last = await this.seen())), deadlineMs);
    } catch (error) {
      const report = await this.report().catch((failure: Error) => failure.message);
      const facts = JSON.stringify({ last, report }, null, 1);
      throw new Error(`${(error as Error).message}\n${facts}`, { cause: error });
    }
    return performance.now() - beganMs;
  }

  /** What the router's administrator types. */
  bird(...words: string[]): string {
    const socket = join(this.router.directory, 'bird.ctl');
    return execFileSync('/usr/sbin/birdc', ['-s', socket, ...words], { encoding: 'utf8' });
  }

  /** Of the router's session: when it came up, and how many updates changed something. */
  heard(): string {
    const text = this.bird('show', 'protocols', 'all', 'n1');
    const since = /^n1 +BGP +\S+ +\S+ +(\S+)/m.exec(text)?.[1] ?? '';
    // received, rejected, filtered, ignored (the same once more), accepted
    const updates = /Import updates: .* (\d+)$/m.exec(text)?.[1] ?? '';
    const withdraws = /Import withdraws: +(\d+) /.exec(text)?.[1] ?? '';
    // BIRD reckons it from a clock of its own: the last digit moves.
    const second = since.replace(/\.\d+$/, '');
    return `up since ${second}, ${updates} updates, ${withdraws} withdrawals`;
  }

  private async furnish(announce: string[]): Promise<void> {
    for (const line of [
      'ip netns add router',
      'ip link set router0 netns router',
      `ip address add ${HERE}/30 dev uplink0`,
      `ip -n router address add ${THERE}/30 dev router0`,
      'ip -n router link set lo up',
      'ip -n router link set router0 up',
    ]) {
      this.exec(line);
    }
    const argv = ['ip', 'netns', 'exec', 'router', 'sh', '-c', 'echo here; exec sleep 3600'];
    const keeper = this.run(argv, {});
    if (keeper.stdout !== null) await once(keeper.stdout, 'data');
    this.router = await startRouter(
      'bird',
      {
        asn: 64_501,
        routerId: THERE,
        neighbors: [{ address: HERE, asn: OWN_ASN, bfd: BFD_TIMERS }],
        announce,
        kernel: false,
      },
      { pid: keeper.pid ?? 0 },
    );
  }

  private run(argv: readonly string[], env: Record<string, string>): ChildProcess {
    const [file = '', ...args] = this.host.inside(argv);
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', file, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    child.stdout?.resume();
    this.children.add(child);
    return child;
  }

  private async end(): Promise<void> {
    await this.router?.stop();
    for (const child of this.children) await this.kill(child);
  }
}

// ---- What a router sees, and what an agent says

type Routing = EdgeStatus['routing'];

export const announced = (route: RouterRoute | null): boolean =>
  route?.asPath.join() === `${OWN_ASN}` && route.communities.join() === '65000:100';
export const withdrawn = (route: RouterRoute | null): boolean => route === null;
export const depreferred = (route: RouterRoute | null): boolean =>
  route?.asPath.join() === Array(4).fill(OWN_ASN).join() &&
  route.communities.includes(`${GRACEFUL_SHUTDOWN >>> 16}:${GRACEFUL_SHUTDOWN & 0xffff}`);

export const isUp = (routing: Routing): boolean => routing?.neighbors[0]?.state === 'established';
export const whyOf = (routing: Routing): string => routing?.services[0]?.why.join('; ') ?? '';
/** By an agent that is heard by the bfd process. */
export const isLeased = (routing: Routing): boolean =>
  stanceOf(routing) === 'announce' && routing?.bfd.problem === null;
export const stanceOf = (routing: Routing): string | undefined => routing?.services[0]?.stance;

export const bfdOf = (routing: Routing): string | undefined => routing?.neighbors[0]?.bfd?.state;
