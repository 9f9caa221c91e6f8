/**
 * The edge's end of the edge streams: keeps the streams that `core/edge/streams` wants, and hands over what comes
 * down. It decides nothing; commands are judged once more by the fence they bear, in `core/edge`.
 */
import { initialStreams, stepStreams, streamsDeadline } from '../../core/edge/streams';
import type {
  Peer,
  StreamEnd,
  StreamsEffect,
  StreamsInput,
  StreamsState,
} from '../../core/edge/streams-types';
import type { OwnerFence } from '../../core/model/edge-spec';
import { type Calls, DialedStream, type TlsPaths } from './dial';
import { type Down, type DownMessages, type Hello, PROTOCOL, type Up } from './proto';

export interface EdgeStreamClientOptions {
  /** `host:port` each: where to begin; the others are learned. */
  controllers: readonly string[];
  tls: TlsPaths;
  heartbeatMs?: number;
}

/** What comes down and is not the client's own business. */
export type Command = Exclude<
  Down,
  { message: 'welcome' | 'heartbeat' | 'redirect' | 'controllers' }
>;

export interface EdgeStreamClientHandler {
  hello(): Omit<Hello, 'protocol' | 'fence'>;
  /**
   * The owner's stream, or another owner's in its place: it takes what we have to say, and what was not acknowledged is
   * to be said again.
   */
  connected(controller: string): void;
  /** Nobody who owns us is connected any more. */
  disconnected(why: string): void;
  /** Its fence was the highest so far; of a former owner only what `core/edge` refuses by it is handed over. */
  message(fence: OwnerFence, message: Command): void;
  /** A controller took us in, be it as a guest. */
  welcomed?(controller: string): void;
  /** What our owner's clock said, epoch ms, as its heartbeat was sent. */
  clock?(atMs: number): void;
  /** A higher fence: less is refused from here on. */
  fence?(fence: OwnerFence): void;
  /** The streams, or who is known, are other ones now. */
  changed?(): void;
  /** A redirect came, or a dial failed: for the metrics and the log. */
  note?(note: ClientNote): void;
}

export type ClientNote =
  | { what: 'redirect'; from: string; to: Peer | null }
  | ({ what: 'ended'; address: string } & StreamEnd);

export class EdgeStreamClient {
  #state: StreamsState;
  readonly #streams = new Map<number, DialedStream>();
  /** By stream. */
  readonly #protocols = new Map<number, number>();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #lastWhy = '';

  constructor(
    private readonly options: EdgeStreamClientOptions,
    private readonly handler: EdgeStreamClientHandler,
    private readonly random: () => number = Math.random,
  ) {
    this.#state = initialStreams(options.controllers);
  }

  /** Returns at once; dials until `close`. `fence`: the highest heard before. */
  start(fence: OwnerFence | null = null): void {
    this.#put({ kind: 'start', fence });
  }

  /** The controller that owns us and is connected; null: none is. */
  get primary(): Peer | null {
    const { held, primary } = this.#state;
    const found = held.find(({ stream }) => stream === primary);
    return found ? { id: found.controller ?? '', address: found.address } : null;
  }

  /** The highest heard; null: none yet. */
  get fence(): OwnerFence | null {
    return this.#state.fence;
  }

  /** What the primary speaks; 0: the first version, or nobody is connected. */
  get protocol(): number {
    return this.#protocols.get(this.#state.primary ?? 0) ?? 0;
  }

  /** The connection to whoever serves us: our owner, or a controller that knows nobody who is. */
  get gateway(): Calls | null {
    const { held, primary } = this.#state;
    const guest = held.find(({ controller }) => controller !== null);
    return this.#streams.get(primary ?? guest?.stream ?? 0) ?? null;
  }

  /** Controllers that have taken us in without owning us. */
  get guests(): readonly Peer[] {
    const { held, primary } = this.#state;
    return held.flatMap(({ stream, controller, address }) =>
      controller === null || stream === primary ? [] : [{ id: controller, address }],
    );
  }

  /** The live controllers, as they say. */
  get learned(): readonly Peer[] {
    return this.#state.learned;
  }

  /** False where nobody who owns us is connected: it is said again once somebody is. */
  send(message: Up): boolean {
    const { primary } = this.#state;
    return primary !== null && (this.#streams.get(primary)?.send(message) ?? false);
  }

  /** Calls to controllers show the certificate that lies on the disk now (`DialedStream.renew`). */
  async renew(path: string): Promise<void> {
    await Promise.all([...this.#streams.values()].map((stream) => stream.renew(path)));
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }

  #put(input: StreamsInput): void {
    if (this.#closed) return;
    const before = this.#state;
    const { state, effects } = stepStreams(before, input, performance.now(), this.random);
    this.#state = state;
    for (const effect of effects) this.#obey(effect);
    const isOther = before.held !== state.held || before.primary !== state.primary;
    if (isOther || before.learned !== state.learned) this.handler.changed?.();
    this.#sleep();
  }

  #sleep(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const atMs = streamsDeadline(this.#state);
    this.#timer = null;
    if (atMs === Infinity || this.#closed) return;
    const delayMs = Math.max(0, Math.ceil(atMs - performance.now()));
    this.#timer = setTimeout(() => this.#put({ kind: 'tick' }), delayMs);
  }

  #obey(effect: StreamsEffect): void {
    switch (effect.kind) {
      case 'dial':
        return this.#dial(effect.stream, effect.address);
      case 'close':
        this.#streams.get(effect.stream)?.close();
        return this.#forget(effect.stream);
      case 'moved': {
        const { controller } = effect;
        this.#streams.get(effect.stream)?.send({ message: 'moved', moved: { controller } });
        return;
      }
      case 'fenced': {
        const { fence } = effect;
        this.#streams.get(effect.stream)?.send({ message: 'fenced', fenced: { fence } });
        return;
      }
      case 'fence':
        this.handler.fence?.(effect.fence);
        return;
      case 'primary':
        if (effect.stream === null) return this.handler.disconnected(this.#lastWhy);
        return this.#connected();
    }
  }

  #connected(): void {
    const { primary } = this;
    this.handler.connected(`${primary?.id} (${primary?.address})`);
  }

  #forget(stream: number): void {
    this.#streams.delete(stream);
    this.#protocols.delete(stream);
  }

  #dial(stream: number, address: string): void {
    const { tls, heartbeatMs } = this.options;
    const options = heartbeatMs === undefined ? { tls } : { tls, heartbeatMs };
    const dialed = new DialedStream(address, options, {
      hello: () => ({ ...this.handler.hello(), protocol: PROTOCOL, fence: this.#state.fence }),
      welcomed: (welcome, { fence }) => this.#welcomed(stream, address, welcome, fence),
      message: (down) => this.#message(stream, down),
      silent: (silent) => this.#put({ kind: 'silent', stream, silent }),
      drained: () => {
        // What could not be sent meanwhile is said as to a new one.
        if (stream === this.#state.primary) this.#connected();
      },
      ended: (end) => {
        this.#forget(stream);
        this.#lastWhy = `${address}: ${end.why}`;
        this.handler.note?.({ what: 'ended', address, ...end });
        this.#put({ kind: 'ended', stream, end });
      },
    });
    this.#streams.set(stream, dialed);
  }

  #welcomed(
    stream: number,
    address: string,
    { controller, controllers, spreadMs, protocol }: DownMessages['welcome'],
    fence: OwnerFence | null,
  ): void {
    this.handler.welcomed?.(`${controller} (${address})`);
    this.#protocols.set(stream, protocol);
    const said = spreadMs === 0 ? null : spreadMs;
    this.#put({ kind: 'welcomed', stream, controller, fence, controllers, spreadMs: said });
  }

  #message(stream: number, down: Exclude<Down, { message: 'welcome' }>): void {
    const { fence } = down;
    if (fence !== null) this.#put({ kind: 'fence', stream, fence });
    switch (down.message) {
      case 'heartbeat': {
        const { atMs, spreadMs, lost } = down.heartbeat;
        if (stream === this.#state.primary) this.handler.clock?.(atMs);
        return this.#put({
          kind: 'heartbeat',
          stream,
          spreadMs: spreadMs === 0 ? null : spreadMs,
          lost,
        });
      }
      case 'redirect': {
        const { controller, address } = down.redirect;
        const to = address === '' ? null : { id: controller, address };
        this.handler.note?.({
          what: 'redirect',
          from: this.#streams.get(stream)?.address ?? '',
          to,
        });
        return this.#put({ kind: 'redirect', stream, to });
      }
      case 'controllers':
        return this.#put({ kind: 'controllers', controllers: down.controllers.controllers });
      default:
        // A guest commands nothing. A former owner's command is handed over where it is refused by its fence, and told.
        if (fence === null) return;
        if (stream === this.#state.primary || JUDGED.has(down.message)) {
          this.handler.message(fence, down);
        }
    }
  }
}

/** `core/edge` holds these against the highest fence itself. */
const JUDGED: ReadonlySet<Down['message']> = new Set(['spec', 'driftAck', 'recordAck']);
