/** What the scenes of the demo play on: the lab, its nodes, and the ways to look at them. */
import { AdminClient } from '../../adapters/admin/client';
import type { AnswerOf, Reason } from '../../core/filter/questions';
import type { RepairRecord } from '../../core/model/messages';
import type { AnycastServiceResource } from '../../core/model/anycast';
import type { NodeResource } from '../../core/model/node';
import { ADMIN_SOCKET } from '../../lab/declare';
import type { Fault } from '../../lab/faults';
import type { Lab } from '../../lab/lab';
import { differences } from '../../lab/look';
import { eventually } from '../../lab/wait';
import type { Look } from '../admin';
import type { Output } from '../output';
import { Prober } from './prober';

/** One thing that was broken and is well again. */
export interface Mended {
  node: string;
  title: string;
  by: 'workflow' | 'agent';
  incidentId: string;
  /** Kernel event → verified, as the agent measured it. */
  repairedInMs: number | null;
  /** As pings of the client saw it; null where no user would have noticed. */
  silentMs: number | null;
}

const WITHIN_MS = 60_000;
const pause = { within: WITHIN_MS, every: 50 };

export type Scene = (stage: Stage) => Promise<void>;

export class Stage {
  readonly mended: Mended[] = [];
  readonly admin: AdminClient;
  readonly look: Look = (_, ask) => ask(this.admin);
  private scenes = 1;
  private readonly probers = new Map<string, Prober>();

  constructor(
    readonly lab: Lab,
    readonly nodes: readonly NodeResource[],
    readonly services: readonly AnycastServiceResource[],
    readonly out: Output,
  ) {
    this.admin = new AdminClient(lab.pathIn('ctl-1', ADMIN_SOCKET), 'demo');
  }

  say(line = ''): void {
    this.out.say(line);
  }

  /** Of a scene; they are numbered, and the first one is the lab itself. */
  heading(text: string): void {
    this.scenes += 1;
    this.say(`\n${this.out.colours.bold(`${this.scenes}  ${text}`)}`);
  }

  command(line: string): void {
    this.say(this.out.colours.dim(`   $ ${line}`));
  }

  node(name: string): NodeResource {
    const found = this.nodes.find(({ metadata }) => metadata.name === name);
    if (found === undefined) throw new Error(`The demo's nodes lack ${name}`);
    return found;
  }

  /** From now on the address of each node is asked by the client. */
  watch(): void {
    for (const node of this.nodes) {
      const { name } = node.metadata;
      this.probers.set(name, new Prober(this.lab, this.addressOf(name)));
    }
  }

  /** Of its service, inside the namespace. */
  addressOf(name: string): string {
    const [address] = this.node(name).spec.namespaces[0]?.links[0]?.addresses ?? [];
    if (address === undefined) throw new Error(`${name} has no address inside a namespace`);
    return address.slice(0, address.indexOf('/'));
  }

  /** Packets that the filters of a node counted under `reason`. */
  async counted(name: string, reason: Reason): Promise<number> {
    const { filters } = await this.admin.askFilter(name, { kind: 'stats' });
    return filters.reduce((sum, { counters }) => sum + counters[reason].packets, 0);
  }

  /** Who was dropped in the last minute; null where no sample tells. */
  async topOf(name: string): Promise<AnswerOf<'top'> | null> {
    const question = { kind: 'top', sinceMs: Date.now() - 60_000, limit: 5 } as const;
    const answer = await this.admin.askFilter(name, question);
    return answer.entries.length > 0 ? answer : null;
  }

  stopWatching(name: string): void {
    this.probers.get(name)?.stop();
    this.probers.delete(name);
  }

  close(): void {
    for (const prober of this.probers.values()) prober.stop();
    this.admin.close();
  }

  async inflict(name: string, fault: Fault): Promise<number> {
    const atMs = Date.now();
    for (const argv of fault.commands) await this.lab.must(name, argv);
    return atMs;
  }

  /** Waits until the kernel, the control plane and the users agree that the node is well again. */
  async recovered(name: string, title: string, sinceMs: number): Promise<Mended> {
    await this.settled(name);
    const record = await eventually(
      `the repair of ${name} is on record`,
      () => this.repair(name, sinceMs),
      pause,
    );
    const prober = this.probers.get(name);
    const answers = (): boolean => prober === undefined || prober.lastAnswerMs > record.atMs;
    await eventually(`${name} answers pings`, answers, pause);
    const mended: Mended = {
      node: name,
      title,
      by: record.by,
      incidentId: record.incidentId,
      repairedInMs: record.repairedInMs,
      silentMs: prober?.longestSilence(sinceMs) ?? null,
    };
    this.mended.push(mended);
    return mended;
  }

  async settled(name: string): Promise<void> {
    const node = this.node(name);
    const look = async (): Promise<boolean> => {
      const left = await differences(this.lab, node);
      if (left.length > 0) throw new Error(left.join('; '));
      const [view] = await this.admin.get(name);
      return view?.converged === true;
    };
    await eventually(`${name} is as it should be`, look, pause);
  }

  /** The first repair that ended after `sinceMs`, as the node's lifecycle has it on record. */
  private async repair(name: string, sinceMs: number): Promise<RepairRecord | undefined> {
    const { lifecycle } = await this.admin.describe(name);
    return lifecycle?.repairs.find(
      ({ atMs, outcome }) => atMs >= sinceMs && outcome === 'converged',
    );
  }
}
