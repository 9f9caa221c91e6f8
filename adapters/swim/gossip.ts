/**
 * Drives `core/swim`: its sockets, its clock, its chance. UDP and TCP on one port.
 *
 * libuv runs timers before it reads sockets. After a pause of the process every deadline has passed, while what would
 * have met it lies unread: so each tick lets the sockets be read first (decision 0101).
 */
import type { Socket } from 'node:net';
import { deadline, hasLeft, initialState, pushPullNodes, step } from '../../core/swim/machine';
import type {
  Address,
  Effect,
  Input,
  Message,
  Profile,
  State,
  StreamFinding,
} from '../../core/swim/types';
import { encodeMessage, type Refusal } from '../../core/swim/wire';
import { encodePushPull } from '../../core/swim/wire-stream';
import type { Counters } from './counters';
import { type Secrets, unwrapPacket, wrapPacket, wrapStream } from './framing';
import { hostPort, type Sockets } from './sockets';
import { ask, hear, toHost } from './streams';

/** memberlist's TCPTimeout, of its local profile. */
const STREAM_TIMEOUT_MS = 1_000;
/** memberlist's maxPushPullRequests. */
const STREAMS_MAX = 128;
const LEAVE_LOOK_MS = 10;

export interface GossipOptions {
  name: string;
  meta: Uint8Array;
  profile: Profile;
  secrets: Secrets;
  counters: Counters;
  /** After each step that changed what `state` shows; `shown`: more than incarnations. */
  onState(shown: boolean): void;
  onConflict(conflict: Extract<Effect, { kind: 'conflict' }>): void;
}

export class Gossip {
  state: State;
  private timer: NodeJS.Timeout | null = null;
  private timerAtMs = Infinity;
  private ticking = false;
  private closed = false;
  private readonly streams = new Set<Socket>();

  constructor(
    private readonly options: GossipOptions,
    private readonly sockets: Sockets,
  ) {
    const { name, meta, profile } = options;
    const identity = { name, address: sockets.address, meta };
    this.state = initialState(identity, profile, performance.now(), Math.random);
    sockets.udp.on('message', (bytes, { address, port }) =>
      this.packet(bytes, { ip: address, port }),
    );
    // Of one packet or connection: without a listener they would end the thread.
    for (const socket of [sockets.udp, sockets.tcp]) {
      socket.on('error', () => options.counters.add('socketErrors'));
    }
    sockets.tcp.on('connection', (socket) => void this.serve(socket));
    this.schedule();
  }

  /** How many answered. */
  async join(addresses: readonly string[]): Promise<number> {
    const { ip, port } = this.sockets.address;
    const others = [...new Set(addresses)]
      .map(hostPort)
      .filter((other) => other.host !== ip || other.port !== port);
    const joined = await Promise.all(others.map((other) => this.exchange(other, true)));
    return joined.filter(Boolean).length;
  }

  /** Resolves once the others were told, or after `timeoutMs`; then ends. */
  async leave(timeoutMs: number): Promise<void> {
    this.feed({ kind: 'leave' });
    const endsAtMs = performance.now() + timeoutMs;
    while (!this.closed && !hasLeft(this.state) && performance.now() < endsAtMs) {
      await new Promise((resolve) => setTimeout(resolve, LEAVE_LOOK_MS));
    }
    await this.close();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    for (const socket of this.streams) socket.destroy();
    const { udp, tcp } = this.sockets;
    await Promise.all([
      new Promise<void>((resolve) => udp.close(resolve)),
      new Promise<void>((resolve) => tcp.close(() => resolve())),
    ]);
  }

  private feed(input: Input): void {
    if (this.closed) return;
    const before = this.state;
    const { state, effects } = step(before, input, performance.now(), Math.random);
    this.state = state;
    for (const effect of effects) this.perform(effect);
    const shown = effects.some(({ kind }) => kind === 'changed' || kind === 'reaped');
    if (state.members !== before.members) this.options.onState(shown);
    this.schedule();
  }

  private perform(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return this.send(effect.to, effect.messages, effect.checksum);
      case 'lookByStream':
        return void this.look(effect);
      case 'pushPull':
        return void this.exchange(toHost(effect.to), false);
      case 'conflict':
        this.options.counters.add('conflicts');
        return this.options.onConflict(effect);
      case 'note':
        return this.options.counters.add(effect.note);
      case 'changed':
      case 'reaped':
    }
  }

  private send(to: Address, messages: readonly Message[], checksum: boolean): void {
    const { secrets, counters } = this.options;
    // Whoever writes from no port can't be answered; to try it throws.
    if (to.port === 0) return counters.add('sendsFailed');
    const bytes = wrapPacket(secrets, messages, checksum);
    counters.add('packetsSent');
    this.sockets.udp.send(bytes, to.port, to.ip, (error) => {
      if (error !== null) counters.add('sendsFailed');
    });
  }

  private packet(bytes: Buffer, from: Address): void {
    const { secrets, counters } = this.options;
    counters.add('packetsReceived');
    const { messages, refused } = unwrapPacket(secrets, bytes);
    this.refuse(refused);
    for (const message of messages) this.feed({ kind: 'received', message, from });
  }

  private refuse(refused: readonly Refusal[]): void {
    for (const why of refused) this.options.counters.add(`refused:${why}`);
  }

  /** The machine's clock. A timer that fires early, or for a deadline that has moved, is set anew. */
  private schedule(): void {
    if (this.closed || this.ticking) return;
    const dueMs = deadline(this.state);
    if (this.timer !== null && this.timerAtMs <= dueMs) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timerAtMs = dueMs;
    const inMs = Math.max(0, Math.ceil(dueMs - performance.now()));
    this.timer = setTimeout(() => this.fired(), inMs);
  }

  private fired(): void {
    this.timer = null;
    this.timerAtMs = Infinity;
    this.ticking = true;
    setImmediate(() =>
      setImmediate(() => {
        this.ticking = false;
        this.feed({ kind: 'tick' });
      }),
    );
  }

  private track(socket: Socket): void {
    this.streams.add(socket);
    socket.once('close', () => this.streams.delete(socket));
  }

  private async look(effect: Extract<Effect, { kind: 'lookByStream' }>): Promise<void> {
    const { to, node, seq, withinMs } = effect;
    const { secrets, name: sourceName } = this.options;
    const found = (finding: StreamFinding): void =>
      this.feed({ kind: 'streamFound', seq, finding });
    const source = this.sockets.address;
    const ping = encodeMessage({ kind: 'ping', seq, node, source, sourceName });
    const asked = await ask(secrets, {
      to: toHost(to),
      from: source.ip,
      bytes: wrapStream(secrets, ping, 'asks'),
      timeoutMs: withinMs,
      onReached: () => found('hanging'),
      onOpen: (socket) => this.track(socket),
    });
    if (!asked.reached) {
      if (asked.refused) found('refused');
    } else if (asked.heard.ok) {
      const { said } = asked.heard;
      if (said.kind === 'message' && said.message.kind === 'ack') found('acked');
    }
  }

  /** True where the other side answered. */
  private async exchange(to: { host: string; port: number }, join: boolean): Promise<boolean> {
    const { secrets, counters } = this.options;
    const ours = encodePushPull(pushPullNodes(this.state), join);
    const asked = await ask(secrets, {
      to,
      from: this.sockets.address.ip,
      bytes: wrapStream(secrets, ours, 'asks'),
      timeoutMs: STREAM_TIMEOUT_MS,
      onOpen: (socket) => this.track(socket),
    });
    const said = asked.reached && asked.heard.ok ? asked.heard.said : null;
    if (said?.kind !== 'pushPull') {
      counters.add('exchangesFailed');
      return false;
    }
    counters.add('exchanges');
    this.feed({ kind: 'merged', nodes: said.nodes });
    return true;
  }

  private async serve(socket: Socket): Promise<void> {
    const { secrets, counters, name } = this.options;
    socket.on('error', () => undefined);
    if (this.closed || this.streams.size >= STREAMS_MAX) return void socket.destroy();
    this.track(socket);
    const heard = await hear(socket, secrets, 'asks', STREAM_TIMEOUT_MS);
    if (!heard.ok) {
      if (heard.why !== 'closed' && heard.why !== 'timeout') this.refuse([heard.why]);
      return void socket.destroy();
    }
    const { said } = heard;
    if (said.kind === 'pushPull') {
      counters.add('exchanges');
      const ours = encodePushPull(pushPullNodes(this.state), false);
      socket.end(wrapStream(secrets, ours, 'answers'));
      this.feed({ kind: 'merged', nodes: said.nodes });
    } else if (said.kind === 'message' && said.message.kind === 'ping') {
      const { node, seq } = said.message;
      if (node !== '' && node !== name) return void socket.destroy();
      const ack = encodeMessage({ kind: 'ack', seq, payload: new Uint8Array(0) });
      socket.end(wrapStream(secrets, ack, 'answers'));
    } else socket.destroy();
    socket.setTimeout(STREAM_TIMEOUT_MS, () => socket.destroy());
  }
}
