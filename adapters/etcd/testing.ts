/** For tests: a real etcd cluster on loopback, and proxies that cut or swallow its connections. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { until } from '../testing/until';
import type { EtcdClient } from './client';
import { Endpoint, type EtcdTls, keepaliveMs } from './endpoint';
import type { HeldLease } from './lease';
import { claimAll, type Ownership } from './ownership';

const binary = join(resolve(process.env['AETHER_TOOLS_DIR'] ?? '.tools/bin'), 'etcd');

/** For `test(name, { skip })`: the reason, or false. */
export const withoutEtcd = existsSync(binary) ? false : `no etcd at ${binary}: run scripts/setup`;

/** Ports that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((s) => new Promise((done) => s.once('listening', done))));
  const ports = servers.map((s) => (s.address() as AddressInfo).port);
  await Promise.all(servers.map((s) => new Promise((done) => s.close(done))));
  return ports;
}

/** Paths of PEM files for the members' client side. */
export interface ServerTlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

interface Member {
  readonly url: string;
  readonly args: string[];
  process: ChildProcess;
}

export interface ClusterOptions {
  readonly tls?: { readonly server: ServerTlsFiles; readonly client: EtcdTls };
  /** Wait for the disk before acknowledging, as a real one does; by default not. */
  readonly fsync?: boolean;
  /** Called for each member before it is started, e.g. to mount something there. */
  readonly prepare?: (member: number, dataDirectory: string) => void;
}

/** Members with an election timeout of 250 ms, their data in a directory of its own. */
export class EtcdCluster {
  private constructor(
    private readonly directory: string,
    private readonly members: Member[],
    private readonly tls: EtcdTls | undefined,
  ) {}

  static async start(
    size: number,
    { tls, fsync = false, prepare }: ClusterOptions = {},
  ): Promise<EtcdCluster> {
    const directory = mkdtempSync(join(tmpdir(), `aether-etcd-${process.pid}-`));
    const ports = await freePorts(size * 2);
    const peer = (i: number) => `http://127.0.0.1:${ports[size + i]}`;
    const names = Array.from({ length: size }, (_, i) => `m${i}=${peer(i)}`);
    const members = ports.slice(0, size).map((port, i) => {
      const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
      const args = [
        ...['--name', `m${i}`, '--data-dir', join(directory, `m${i}`), '--log-level', 'error'],
        ...['--log-outputs', join(directory, `m${i}.log`), '--logger', 'zap'],
        ...['--listen-client-urls', url, '--advertise-client-urls', url],
        ...['--listen-peer-urls', peer(i), '--initial-advertise-peer-urls', peer(i)],
        ...['--initial-cluster', names.join(','), '--initial-cluster-token', directory],
        ...['--heartbeat-interval', '50', '--election-timeout', '250'],
        // A killed process loses nothing that the kernel has.
        ...(fsync ? [] : ['--unsafe-no-fsync']),
        ...['--grpc-keepalive-min-time', `${keepaliveMs / 2}ms`],
        ...(tls
          ? ['--client-cert-auth', '--trusted-ca-file', tls.server.ca].concat(
              ['--cert-file', tls.server.cert],
              ['--key-file', tls.server.key],
            )
          : []),
      ];
      const dataDirectory = join(directory, `m${i}`);
      mkdirSync(dataDirectory, { mode: 0o700 });
      prepare?.(i, dataDirectory);
      return { url, args, process: launch(args) };
    });
    const cluster = new EtcdCluster(directory, members, tls?.client);
    try {
      await until('a leader', () => cluster.leader(), 20_000);
    } catch (error) {
      const logs = members.map((_, i) => readFileSync(join(directory, `m${i}.log`), 'utf8'));
      await cluster.stop();
      throw new Error(`etcd did not start:\n${logs.join('\n')}`, { cause: error });
    }
    return cluster;
  }

  get urls(): string[] {
    return this.members.map((m) => m.url);
  }

  /** Index of the member that the others call their leader; null during an election. */
  async leader(): Promise<number | null> {
    const answers = await Promise.allSettled(
      this.members.map(async ({ url }) => {
        const endpoint = new Endpoint(url, this.tls);
        try {
          return await endpoint.maintenance.status({ deadline: Date.now() + 500 });
        } finally {
          endpoint.close();
        }
      }),
    );
    const index = answers.findIndex(
      (a) => a.status === 'fulfilled' && a.value.leader === a.value.header.member_id,
    );
    return index < 0 ? null : index;
  }

  /** Ends a member, by SIGKILL unless told otherwise. */
  signal(member: number, signal: NodeJS.Signals = 'SIGKILL'): void {
    this.members[member]!.process.kill(signal);
  }

  /** Ends a member by SIGKILL; resolves when the kernel has taken it away. */
  async kill(member: number): Promise<void> {
    if (this.ended(member)) return;
    const { process: child } = this.members[member]!;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** Whether a member has ended, by whatever hand. */
  ended(member: number): boolean {
    const { exitCode, signalCode } = this.members[member]!.process;
    return exitCode !== null || signalCode !== null;
  }

  /** Starts a member again that was killed. */
  restart(member: number): void {
    const it = this.members[member]!;
    it.process = launch(it.args);
  }

  /** Forgets the history before `revision`. */
  async compact(revision: number): Promise<void> {
    const endpoint = new Endpoint(this.urls[0]!, this.tls);
    await endpoint.kv.compact({ revision, physical: true }, { deadline: Date.now() + 5000 });
    endpoint.close();
  }

  /** Kills all members and removes their data. */
  async stop(): Promise<void> {
    await Promise.all(
      this.members.map(async ({ process: child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = new Promise((done) => child.once('exit', done));
        child.kill('SIGKILL');
        await exited;
      }),
    );
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const launch = (args: string[]): ChildProcess => spawn(binary, args, { stdio: 'ignore' });

/** Null: somebody else has it. */
export async function claimed(
  client: EtcdClient,
  lease: HeldLease,
  key: string,
): Promise<Ownership | null> {
  const claims = [{ key, value: client.writer, clears: `${key}/warm` }];
  return (await claimAll(client, lease, claims)).get(key) ?? null;
}

/** As soon as nobody else has it. */
export const owned = (client: EtcdClient, lease: HeldLease, key: string): Promise<Ownership> =>
  until(`${client.writer} owns ${key}`, () => claimed(client, lease, key), 20_000);

/** A TCP proxy on loopback that can cut, delay or swallow what passes. */
export class Proxy {
  readonly #server: Server;
  readonly #target: number;
  readonly #pairs = new Set<[Socket, Socket]>();
  #swallowing = false;
  #refusing = false;
  /** Each way. */
  delayMs = 0;
  #cutEvery = Infinity;
  #passed = 0;
  cuts = 0;

  static async toAll(urls: readonly string[]): Promise<Proxy[]> {
    const proxies = urls.map((url) => new Proxy(Number(new URL(url).port)));
    await Promise.all(
      proxies.map((p) => new Promise((done) => p.#server.listen(0, '127.0.0.1', () => done(null)))),
    );
    return proxies;
  }

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** A black hole: connections are accepted and stay open, and nothing passes in either direction. */
  swallow(on: boolean): void {
    this.#swallowing = on;
    if (!on) this.cut(); // what was swallowed is missing from those streams
  }

  /** Nobody listens any more, as it looks from a client: connections are reset, also new ones. */
  refuse(on: boolean): void {
    this.#refusing = on;
    if (on) this.cut();
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    this.cuts++;
  }

  /** Cuts all connections each time so many bytes have passed to clients. */
  cutEvery(bytes: number): void {
    this.#cutEvery = bytes;
    this.#passed = 0;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((done) => this.#server.close(done));
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const upstream = connect(this.#target, '127.0.0.1');
    const pair: [Socket, Socket] = [client, upstream];
    this.#pairs.add(pair);
    const forward = (from: Socket, to: Socket, toClient: boolean): void => {
      from.on('data', (data) => {
        if (this.#swallowing) return;
        if (this.delayMs > 0) setTimeout(() => to.write(data), this.delayMs);
        else if (!to.write(data)) from.pause();
        if (toClient) this.#count(data.length);
      });
      to.on('drain', () => from.resume());
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#pairs.delete(pair);
        to.destroy();
      });
    };
    forward(client, upstream, false);
    forward(upstream, client, true);
  }

  #count(bytes: number): void {
    this.#passed += bytes;
    if (this.#passed < this.#cutEvery) return;
    this.#passed = 0;
    this.cut();
  }
}
