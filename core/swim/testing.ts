/** Machines over a network that is simulated: it loses, delays and repeats packets; processes stop, stand still and die. */
import { utf8 } from '../model/hash';
import { deadline, hasLeft, initialState, pushPullNodes, step } from './machine';
import type { Address, Effect, Input, Member, Profile, Random, State } from './types';
import { decodePacket, encodePacket } from './wire-packet';

/** Mulberry32: one seed, one story. */
export function randomOf(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Network {
  /** 0 … 1 each, of packets. */
  loss: number;
  repeat: number;
  minDelayMs: number;
  maxDelayMs: number;
}

export const CLEAN: Network = { loss: 0, repeat: 0, minDelayMs: 0.1, maxDelayMs: 1 };

interface Happening {
  atMs: number;
  order: number;
  run: () => void;
}

export class World {
  nowMs = 0;
  network: Network = CLEAN;
  /** Whom `from` does not reach, by packets or streams. */
  cut: (from: string, to: string) => boolean = () => false;
  readonly random: Random;
  readonly nodes = new Map<string, Node>();
  private readonly happenings: Happening[] = [];
  private order = 0;

  constructor(
    seed: number,
    readonly profile: Profile,
  ) {
    this.random = randomOf(seed);
  }

  at(atMs: number, run: () => void): void {
    const happening = { atMs, order: (this.order += 1), run };
    const heap = this.happenings;
    heap.push(happening);
    for (let i = heap.length - 1; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!earlier(heap[i]!, heap[parent]!)) break;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  after(inMs: number, run: () => void): void {
    this.at(this.nowMs + inMs, run);
  }

  /** Until then, or until `done` says so; true where it did. */
  run(untilMs: number, done: () => boolean = () => false): boolean {
    for (;;) {
      const [next] = this.happenings;
      if (next === undefined || next.atMs > untilMs) break;
      this.pop();
      this.nowMs = next.atMs;
      next.run();
      if (done()) return true;
    }
    this.nowMs = untilMs;
    return done();
  }

  private pop(): void {
    const heap = this.happenings;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let i = 0; ;) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      let first = i;
      if (left < heap.length && earlier(heap[left]!, heap[first]!)) first = left;
      if (right < heap.length && earlier(heap[right]!, heap[first]!)) first = right;
      if (first === i) return;
      [heap[i], heap[first]] = [heap[first]!, heap[i]!];
      i = first;
    }
  }

  delayMs(): number {
    const { minDelayMs, maxDelayMs } = this.network;
    return minDelayMs + this.random() * (maxDelayMs - minDelayMs);
  }

  start(name: string, address = addressOf(this.nodes.size + 1), meta = 'run 1'): Node {
    const node = new Node(this, name, address, meta);
    this.nodes.set(keyOf(address), node);
    return node;
  }

  /** All of them list one another. */
  cluster(count: number): Node[] {
    const nodes = Array.from({ length: count }, (_, i) => this.start(`m${i}`));
    for (const node of nodes.slice(1)) node.join(nodes[0]!.address);
    const whole = (): boolean =>
      nodes.every(({ state }) => state.members.size === count && !listsOther(state, 'alive'));
    if (!this.run(this.nowMs + 60_000, whole)) throw new Error('they do not find each other');
    return nodes;
  }
}

const earlier = (a: Happening, b: Happening): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

const listsOther = (state: State, than: Member['state']): boolean =>
  [...state.members.values()].some((member) => member.state !== than);

const keyOf = ({ ip, port }: Address): string => `${ip}:${port}`;

export const addressOf = (number: number): Address => ({
  ip: `10.0.${number >> 8}.${number & 0xff}`,
  port: 7701,
});

export interface Seen {
  atMs: number;
  effect: Effect;
}

export class Node {
  state: State;
  readonly seen: Seen[] = [];
  /** Of its process. */
  is: 'running' | 'stopped' | 'dead' = 'running';
  private unread: (() => void)[] = [];
  private version = 0;

  constructor(
    private readonly world: World,
    readonly name: string,
    readonly address: Address,
    meta: string,
  ) {
    const identity = { name, address, meta: utf8(meta) };
    this.state = initialState(identity, world.profile, world.nowMs, world.random);
    this.schedule();
  }

  feed(input: Input): void {
    const { state, effects } = step(this.state, input, this.world.nowMs, this.world.random);
    this.state = state;
    for (const effect of effects) this.perform(effect);
    this.schedule();
  }

  /** What comes meanwhile is read first, then the late deadline is obeyed: the driver's order. */
  stop(forMs: number): void {
    this.is = 'stopped';
    this.world.after(forMs, () => {
      if (this.is !== 'stopped') return;
      this.is = 'running';
      const unread = this.unread;
      this.unread = [];
      for (const read of unread) read();
      this.schedule();
    });
  }

  kill(): void {
    this.is = 'dead';
  }

  leave(): void {
    this.feed({ kind: 'leave' });
  }

  get hasLeft(): boolean {
    return hasLeft(this.state);
  }

  join(to: Address): void {
    this.exchange(to);
  }

  sees(name: string): Member | undefined {
    return this.state.members.get(name);
  }

  private schedule(): void {
    this.version += 1;
    const { version } = this;
    this.world.at(Math.max(this.world.nowMs, deadline(this.state)), () => {
      if (this.version !== version || this.is !== 'running') return;
      this.feed({ kind: 'tick' });
    });
  }

  private perform(effect: Effect): void {
    this.seen.push({ atMs: this.world.nowMs, effect });
    if (effect.kind === 'send') this.send(effect);
    else if (effect.kind === 'lookByStream') this.look(effect);
    else if (effect.kind === 'pushPull') this.exchange(effect.to);
  }

  private other(to: Address): Node | null {
    const node = this.world.nodes.get(keyOf(to)) ?? null;
    return node !== null && this.world.cut(this.name, node.name) ? null : node;
  }

  private send({ to, messages, checksum }: Extract<Effect, { kind: 'send' }>): void {
    const { world } = this;
    const bytes = encodePacket(messages, checksum);
    const { loss, repeat } = world.network;
    for (let copies = world.random() < repeat ? 2 : 1; copies > 0; copies -= 1) {
      if (world.random() < loss) continue;
      world.after(world.delayMs(), () => {
        const node = this.other(to);
        node?.whenRunning(() => {
          const packet = decodePacket(bytes);
          if (packet.refused.length > 0) throw new Error(`refused: ${packet.refused.join()}`);
          for (const message of packet.messages) {
            node.feed({ kind: 'received', message, from: this.address });
          }
        });
      });
    }
  }

  private look({ to, seq, withinMs }: Extract<Effect, { kind: 'lookByStream' }>): void {
    const { world } = this;
    const endsAtMs = world.nowMs + withinMs;
    const found = (finding: 'acked' | 'refused' | 'hanging'): void =>
      this.whenRunning(() => this.feed({ kind: 'streamFound', seq, finding }));
    world.after(world.delayMs(), () => {
      const node = this.other(to);
      if (node === null) return;
      if (node.is === 'dead') return found('refused');
      found('hanging');
      node.whenRunning(() => {
        if (world.nowMs < endsAtMs) world.after(world.delayMs(), () => found('acked'));
      });
    });
  }

  private exchange(to: Address): void {
    const { world } = this;
    const ours = pushPullNodes(this.state);
    world.after(world.delayMs(), () => {
      const node = this.other(to);
      node?.whenRunning(() => {
        const theirs = pushPullNodes(node.state);
        node.feed({ kind: 'merged', nodes: ours });
        world.after(world.delayMs(), () =>
          this.whenRunning(() => this.feed({ kind: 'merged', nodes: theirs })),
        );
      });
    });
  }

  private whenRunning(run: () => void): void {
    if (this.is === 'running') run();
    else if (this.is === 'stopped') this.unread.push(run);
  }
}
