/** Seamless BFD between two edges: agent, bfd process and filter on each, all real, on one link. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { BfdClient } from '../../adapters/bfd/client';
import { waitFor } from '../../adapters/native/test-support';
import type { BfdReport } from '../../core/announce/types';
import type { BfdPeerSpec } from '../../core/model/bgp';
import type { BfdSessionView } from '../../core/model/routing';
import { exampleSpec, TestHost, type TestAgent } from './testing/test-host';

const BFD = join(__dirname, '../bfd.js');
const CLI = join(__dirname, '../../cli/main.js');
const PATIENCE_MS = 60_000;
const INTERVAL_MS = 100;
const MULTIPLIER = 3;
const ADDRESSES = { a: ['192.0.2.1', '2001:db8:2::1'], b: ['192.0.2.2', '2001:db8:2::2'] } as const;

type Side = keyof typeof ADDRESSES;
const other = (side: Side): Side => (side === 'a' ? 'b' : 'a');

/** IPv4 as neighbours on a link, IPv6 as if there were routers between. */
const peersOf = (side: Side, more: Partial<BfdPeerSpec> = {}): BfdPeerSpec[] =>
  ADDRESSES[other(side)].map((address, i) => ({
    address,
    multihop: i === 1,
    local: ADDRESSES[side][i] ?? '',
    mode: 'seamless',
    intervalMs: INTERVAL_MS,
    multiplier: MULTIPLIER,
    holdDownMs: 0,
    ...more,
  }));

class Edge {
  agent!: TestAgent;
  bfd!: ChildProcess;

  constructor(
    private readonly t: TestContext,
    readonly side: Side,
    readonly host: TestHost,
  ) {}

  private get socket(): string {
    return join(this.host.directory, 'bfd.sock');
  }

  async accept(revision: number, more: Partial<BfdPeerSpec> = {}): Promise<void> {
    const spec = { ...exampleSpec(revision), namespaces: [] };
    await this.host.accept({ ...spec, bfdPeers: peersOf(this.side, more) });
  }

  startAgent(): void {
    this.agent = this.host.startAgent(this.t, { env: { AETHER_BFD_SOCKET: this.socket } });
  }

  startBfd(): void {
    const [file = '', ...args] = this.host.inside([process.execPath, BFD]);
    this.bfd = spawn('setpriv', ['--pdeathsig', 'KILL', file, ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        PATH: process.env['PATH'] ?? '',
        AETHER_BFD_SOCKET: this.socket,
        AETHER_GOBGP_SOCKET: join(this.host.directory, 'gobgp.sock'),
        AETHER_STATE_DIR: join(this.host.directory, 'bfd'),
        AETHER_METRICS_LISTEN: '127.0.0.1:9702',
        AETHER_LOG_LEVEL: 'error',
      },
    });
    this.t.after(() => this.bfd.kill('SIGKILL'));
  }

  async sessions(): Promise<BfdSessionView[]> {
    using client = new BfdClient(this.socket);
    return await client.look().then(
      ({ sessions }: BfdReport) => sessions,
      () => [],
    );
  }

  until(what: string, holds: (sessions: BfdSessionView[]) => boolean): Promise<BfdSessionView[]> {
    const probe = async (): Promise<BfdSessionView[] | null> => {
      const sessions = await this.sessions();
      return sessions.length === 2 && holds(sessions) ? sessions : null;
    };
    return waitFor(`${this.side}: ${what}`, probe, PATIENCE_MS).catch(async (error: unknown) => {
      const found = JSON.stringify(await this.sessions(), null, 1);
      throw new Error(`${String(error)}\n${found}\n${this.agent.log.slice(-4_000)}`);
    });
  }

  all(state: BfdSessionView['state']): Promise<BfdSessionView[]> {
    return this.until(`all are ${state}`, (all) => all.every((each) => each.state === state));
  }

  /** Until as many answers have come as fit into `times` detection times. */
  async answered(times: number): Promise<BfdSessionView[]> {
    const before = (await this.sessions()).map(({ packets }) => packets.received);
    const enough = times * MULTIPLIER;
    return await this.until('it is answered', (all) =>
      all.every(({ packets }, i) => packets.received >= (before[i] ?? 0) + enough),
    );
  }

  /** Says what `aether edge …` says on this host. */
  cli(...words: string[]): string {
    return this.host.exec(process.execPath, CLI, 'edge', ...words, '--socket', this.host.socket);
  }

  signal(signal: NodeJS.Signals): void {
    this.agent.child.kill(signal);
    this.bfd.kill(signal);
  }

  /** What it asks gets lost; what it is asked does not. */
  cut(): void {
    const chain = 'chain out { type filter hook output priority 0; udp dport 7784 drop; }';
    this.host.exec('nft', `table inet cut {\n${chain}\n}`);
  }

  heal(): void {
    this.host.exec('nft', 'delete table inet cut');
  }
}

/** Two hosts, whose uplinks are the ends of one link. */
async function link(t: TestContext): Promise<Record<Side, Edge>> {
  const edges = {
    a: new Edge(t, 'a', await TestHost.create(t)),
    b: new Edge(t, 'b', await TestHost.create(t)),
  };
  const { a, b } = edges;
  a.host.exec('ip', 'link', 'del', 'uplink0');
  b.host.exec('ip', 'link', 'set', 'router0', 'netns', `${a.host.pid}`);
  a.host.exec('ip', 'link', 'set', 'router0', 'name', 'uplink0', 'up');
  for (const { side, host } of [a, b]) {
    const [v4, v6] = ADDRESSES[side];
    host.exec('ip', 'address', 'add', `${v4}/24`, 'dev', 'uplink0');
    host.exec('ip', 'address', 'add', `${v6}/64`, 'dev', 'uplink0', 'nodad');
  }
  return edges;
}

test('a peer whose processes are stopped is no dead path, a cut is one', async (t) => {
  const { a, b } = await link(t);
  for (const edge of [a, b]) {
    await edge.accept(1);
    edge.startBfd();
    edge.startAgent();
  }
  await Promise.all([a.all('up'), b.all('up')]);
  const [v4, v6] = await a.answered(1);
  assert.deepEqual([v4?.mode, v4?.multihop, v6?.multihop], ['seamless', false, true]);
  assert.deepEqual([v4?.local, v4?.detectTimeMs], [ADDRESSES.a[0], MULTIPLIER * INTERVAL_MS]);
  assert.equal(v4?.remoteDiscriminator, 0xc0000202, 'the address as a number');
  const stats = b.cli('filter', 'stats');
  assert.match(stats, /answered, Seamless BFD +[\d,]+/);
  assert.match(stats, new RegExp(`${ADDRESSES.a[0]} +${ADDRESSES.b[0]} +[\\d,]+`));

  b.signal('SIGSTOP');
  for (const { state, downs } of await a.answered(10)) assert.deepEqual([state, downs], ['up', 0]);

  a.cut();
  const down = await a.all('down');
  for (const { diagnostic, downs } of down) {
    assert.deepEqual([diagnostic, downs], ['Control Detection Time Expired', 1]);
  }
  a.heal();
  await a.all('up');

  // Whoever was stopped has asked nobody, and so has missed no answer.
  b.signal('SIGCONT');
  for (const { state, downs } of await b.answered(2)) assert.deepEqual([state, downs], ['up', 0]);

  // The program answers as long as it is attached: also when nobody is left to have put it there.
  await b.agent.kill();
  b.bfd.kill('SIGKILL');
  for (const { state, downs } of await a.answered(4)) assert.deepEqual([state, downs], ['up', 1]);

  // Out of service: told, and no failure.
  await b.accept(2, { outOfService: true });
  b.startAgent();
  for (const { remoteState, remoteDiagnostic, downs } of await a.all('down')) {
    assert.deepEqual([remoteState, remoteDiagnostic], ['adminDown', 'Administratively Down']);
    assert.equal(downs, 2);
  }
});
