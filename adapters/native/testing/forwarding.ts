/**
 * A host that forwards between two namespaces, for the latency tracker's tests and its experiment:
 * source ── near (filter) · the process's own namespace · far ── target.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { LatencyWish } from '../../../core/latency/choice';
import type { FilterEngine } from '../filter/engine';
import { contentsFor } from '../filter/testing/support';
import { NetNs } from '../netns';

/** Built from bpf/testing/traffic.c, which says what it does. */
const TRAFFIC = join(__dirname, '../../../../bpf/build/traffic');
const PORT = '4433';
const TARGET_ADDRESS = '10.9.1.2';

const run = promisify(execFile);
const ip = (...argv: string[]): string => execFileSync('ip', argv, { encoding: 'utf8' });

export class Forwarding {
  private constructor(
    private readonly filters: FilterEngine,
    private readonly rooms: readonly NetNs[],
    readonly source: string,
    readonly target: string,
    /** Where packets enter, and where they leave again. */
    readonly near: string,
    readonly far: string,
  ) {}

  /** `id`: at most 12 characters, to tell it from others in the same namespace. */
  static async up(filters: FilterEngine, id: string): Promise<Forwarding> {
    const [source, target, near, far] = [`${id}-s`, `${id}-t`, `${id}n`, `${id}f`];
    const rooms = await Promise.all([source, target].map((name) => NetNs.create(name)));
    const forwarding = new Forwarding(filters, rooms, source, target, near, far);
    try {
      await forwarding.connect();
    } catch (error) {
      await forwarding.down();
      throw error;
    }
    return forwarding;
  }

  async down(): Promise<void> {
    await this.filters.detach(this.near);
    for (const room of this.rooms) await room.delete();
  }

  /** All that a spec with this filter and this namespace would wish for. */
  wish(oneFlowIn: number): LatencyWish {
    const { near, far, target } = this;
    return { ingress: [near], egress: [far, near].sort(), namespaces: [target], oneFlowIn };
  }

  /** What the filter tracks; null = nothing. */
  async track(oneFlowIn: number | null): Promise<void> {
    const track = oneFlowIn === null ? null : { oneFlowIn };
    const [outcome] = await this.filters.setFilters([contentsFor(this.near, { track })]);
    if (outcome?.error !== null) throw new Error(outcome?.error ?? 'no filter was set');
  }

  /** `packets` of each of `flows` flows, from source to target, where nobody listens. */
  async sendUdp(flows: number, packets: number, gapUs = 50): Promise<void> {
    const numbers = [flows, packets, gapUs].map(String);
    await run('ip', this.inside(this.source, 'udp', TARGET_ADDRESS, '9', ...numbers));
  }

  /**
   * `messages` one after another through each of `connections`, each read after a wait of up to
   * `maxUs`. For each, how many ns before its reader had it the kernel had received it.
   */
  async converse(connections: number, messages: number, maxUs: number): Promise<number[]> {
    const many = [connections, messages].map(String);
    const lines = this.serve('serve', PORT, ...many, String(maxUs));
    const seen: number[] = [];
    for await (const line of lines) {
      if (line === 'ready') void this.ask('ask', TARGET_ADDRESS, PORT, ...many);
      else seen.push(Number(line));
    }
    return seen;
  }

  /** Megabytes through one connection, as fast as it goes; the seconds that its reader took. */
  async pour(megabytes: number): Promise<number> {
    const lines = this.serve('drain', PORT);
    let seconds = NaN;
    for await (const line of lines) {
      if (line === 'ready') void this.ask('pour', TARGET_ADDRESS, PORT, String(megabytes));
      else seconds = Number(line);
    }
    return seconds;
  }

  /** Packets that the target's interface has received. */
  arrived(): number {
    const shown = ip('-n', this.target, '-s', '-j', 'link', 'show', 'eth0');
    const [link] = JSON.parse(shown) as { stats64: { rx: { packets: number } } }[];
    return link?.stats64.rx.packets ?? NaN;
  }

  private async connect(): Promise<void> {
    for (const [i, name] of [this.near, this.far].entries()) {
      const room = [this.source, this.target][i] ?? '';
      ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', room);
      ip('addr', 'add', `10.9.${i}.1/24`, 'dev', name);
      ip('link', 'set', name, 'up');
      ip('-n', room, 'addr', 'add', `10.9.${i}.2/24`, 'dev', 'eth0');
      for (const link of ['lo', 'eth0']) ip('-n', room, 'link', 'set', link, 'up');
      ip('-n', room, 'route', 'add', 'default', 'via', `10.9.${i}.1`);
    }
    const host = NetNs.host();
    try {
      await host.writeSysctl('net.ipv4.ip_forward', '1');
      const { links } = await host.rtnl();
      const index = (await links.get({ name: this.near }))?.index ?? 0;
      await this.filters.attach(this.near, index, 'native');
    } finally {
      host.close();
    }
    // All neighbours are known from here on: no packet of a test waits for them.
    const ping = ['ping', '-c', '1', '-W', '5', TARGET_ADDRESS];
    await run('ip', ['netns', 'exec', this.source, ...ping]);
  }

  private inside(name: string, ...argv: string[]): string[] {
    return ['netns', 'exec', name, TRAFFIC, ...argv];
  }

  private async ask(...argv: string[]): Promise<void> {
    const asking = spawn('ip', this.inside(this.source, ...argv), { stdio: 'inherit' });
    await once(asking, 'exit');
  }

  /** The lines that a server in the target prints; throws after the last where it failed. */
  private async *serve(...argv: string[]): AsyncGenerator<string> {
    const stdio = ['ignore', 'pipe', 'inherit'] as const;
    const server = spawn('ip', this.inside(this.target, ...argv), { stdio: [...stdio] });
    const ended = once(server, 'exit') as Promise<[status: number | null]>;
    if (server.stdout === null) throw new Error('unreachable: stdout is a pipe');
    yield* createInterface({ input: server.stdout });
    const [status] = await ended;
    if (status !== 0) throw new Error(`traffic ${argv[0]} ended with ${String(status)}`);
  }
}
