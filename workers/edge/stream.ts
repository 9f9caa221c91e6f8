/** The edge stream as the machine sees it: what comes down becomes inputs, checked first. */
import { type ClientNote, type Command, EdgeStreamClient } from '../../adapters/edge-stream/client';
import type { Calls } from '../../adapters/edge-stream/dial';
import {
  type DownMessages,
  type Hello,
  PROTOCOL_OF_DELTAS,
  type Up,
} from '../../adapters/edge-stream/proto';
import { WORKFLOW_SERVICE } from '../../adapters/gateway/server';
import type { Logger } from '../../adapters/telemetry/logger';
import type { Peer } from '../../core/edge/streams-types';
import type { OwnerFence } from '../../core/model/edge-spec';
import { specHash } from '../../core/model/hash';
import type { FilterPort } from '../../core/model/host';
import { parseEdgeSpec } from '../../core/model/values';
import type { EdgeConfig } from '../config/edge';
import type { Agent } from './agent';
import { askFilter } from './ask';
import type { Chunks } from './chunks';
import type { Deltas } from './deltas';
import type { FilterWork } from './filter-work';
import { epochMs } from '../clock';
import type { EdgeMetrics } from './metrics';
import type { Problems } from './problems';
import type { Routing } from './routing';

/** As status shows it: the owner of this edge, or a controller that knows nobody who is. */
export interface ControllerLink {
  connected: boolean;
  address: string | null;
  sinceMs: number | null;
  /** What the one said that refused it last; null: it is connected, or none has said anything. */
  why: string | null;
}

/** Where what comes down goes besides the machine. */
export interface StreamDoors {
  lists: Pick<FilterWork, 'connected'> & {
    chunks: Pick<Chunks, 'take'>;
    deltas: Pick<Deltas, 'take'>;
  };
  host: FilterPort;
  routing: Pick<Routing, 'connected' | 'acknowledged'>;
  problems: Pick<Problems, 'set' | 'clear'>;
}

/** Beyond this a clock is wrong, and no heartbeat late: a stream that stands still for so long is ended. */
const CLOCK_OFF_MS = 60_000;

export class Stream {
  /** As status shows it. */
  link: ControllerLink = { connected: false, address: null, sinceMs: null, why: null };
  private readonly client: EdgeStreamClient;
  private readonly lastWhy = new Map<string, string>();
  /** Why the last stream ended, of whichever controller. */
  private lastEnd: string | null = null;
  private readonly listeners: (() => void)[] = [];
  private told = '';
  private toldGateway: Calls | null = null;

  constructor(
    config: Pick<EdgeConfig, 'controllers' | 'tls'>,
    private readonly identity: { incarnation: number; agentVersion: string },
    private readonly agent: () => Agent,
    private readonly doors: StreamDoors,
    private readonly log: Logger,
    private readonly metrics: EdgeMetrics,
  ) {
    const { controllers, tls } = config;
    this.client = new EdgeStreamClient(
      { controllers, tls },
      {
        hello: () => this.hello(),
        connected: (controller) => this.connected(controller),
        disconnected: (why) => this.disconnected(why),
        fence: (fence) => this.agent().put({ kind: 'fenceHeard', fence }),
        clock: (atMs) => this.compareClocks(atMs),
        changed: () => this.changed(),
        note: (note) => this.note(note),
        message: (fence, down) => this.take(fence, down),
      },
    );
  }

  /** The controller that owns this edge and is connected; null: none is. */
  get primary(): Peer | null {
    return this.client.primary;
  }

  /** Live controllers, as they say; `host:port` each. */
  get learned(): readonly Peer[] {
    return this.client.learned;
  }

  /** To the controller that serves this edge: its owner, or one that knows nobody who is. */
  get gateway(): Calls | null {
    return this.client.gateway;
  }

  get knowsDeltas(): boolean {
    return this.client.protocol >= PROTOCOL_OF_DELTAS;
  }

  /** Called after each change of `primary`, `learned` or `gateway`. */
  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  private take(fence: OwnerFence, down: Command): void {
    switch (down.message) {
      case 'spec':
        return this.spec(fence, down.spec);
      case 'statusRequest':
        return this.answer(down.statusRequest.id);
      case 'driftAck':
        return this.agent().put({ kind: 'driftAcked', fence, ...down.driftAck });
      case 'recordAck':
        return this.agent().put({ kind: 'recordAcked', fence, ...down.recordAck });
      case 'chunk':
        // Its name is what makes it right, not who brings it.
        return void this.doors.lists.chunks.take(down.chunk);
      case 'delta':
        return void this.doors.lists.deltas.take(down.delta);
      case 'filterRequest':
        return void this.ask(down.filterRequest);
      case 'routingAck':
        return this.doors.routing.acknowledged(down.routingAck.sequence);
    }
  }

  start(): void {
    this.client.start(this.agent().memory.fence);
  }

  send(message: Up): boolean {
    return this.client.send(message);
  }

  /** Rejects where a controller, or Temporal behind it, does not answer to the new certificate yet. */
  renew(): Promise<void> {
    return this.client.renew(`/${WORKFLOW_SERVICE}/GetSystemInfo`);
  }

  close(): void {
    this.client.close();
  }

  private hello(): Omit<Hello, 'protocol' | 'fence'> {
    const { accepted, memory } = this.agent();
    return {
      ...this.identity,
      acceptedRevision: accepted?.spec.revision ?? 0,
      acceptedHash: accepted?.hash ?? '',
      appliedHash: memory.appliedHash ?? '',
    };
  }

  private connected(address: string): void {
    this.lastWhy.clear();
    this.metrics.connected.set({ to: 'controller' }, 1);
    const { fence } = this.client;
    this.log.info({ controller: address, fence }, 'connected to a controller');
    this.agent().put({ kind: 'connected' });
    this.doors.lists.connected();
    this.doors.routing.connected();
  }

  private disconnected(why: string): void {
    this.metrics.connected.set({ to: 'controller' }, 0);
    this.log.warn({ why }, 'no controller owns this edge; it goes on by its accepted spec');
    this.agent().put({ kind: 'disconnected' });
  }

  /** What is declared for a time ends by this host's clock. Nothing is decided by the other one. */
  private compareClocks(atMs: number): void {
    const { problems } = this.doors;
    const aheadMs = epochMs() - atMs;
    if (Math.abs(aheadMs) <= CLOCK_OFF_MS) return problems.clear('clock');
    const minutes = Math.round(Math.abs(aheadMs) / 60_000);
    const [where, ends] = aheadMs > 0 ? ['ahead of', 'early'] : ['behind', 'late'];
    const text = `the clock of this host is ${minutes} min ${where} that of ${this.primary?.id}`;
    problems.set('clock', `${text}: if it is wrong, blocks and freezes end too ${ends} here`);
  }

  private changed(): void {
    const { primary, guests, learned } = this.client;
    const shown = primary ?? guests[0] ?? null;
    const address = shown && `${shown.id} (${shown.address})`;
    if (address !== this.link.address) {
      const why = shown === null ? this.lastEnd : null;
      this.link = { connected: shown !== null, address, sinceMs: epochMs(), why };
    }
    this.metrics.streams.set({ kind: 'primary' }, primary === null ? 0 : 1);
    this.metrics.streams.set({ kind: 'guest' }, guests.length);
    const text = JSON.stringify([primary, learned, shown]);
    const { gateway } = this;
    if (text === this.told && gateway === this.toldGateway) return;
    this.told = text;
    this.toldGateway = gateway;
    for (const listener of this.listeners) listener();
  }

  private note(note: ClientNote): void {
    if (note.what === 'redirect') {
      this.metrics.redirects.inc();
      this.log.info({ from: note.from, to: note.to }, 'sent to another controller');
      return;
    }
    const { address, why } = note;
    // The same reason, time after time, is one line.
    if (this.lastWhy.get(address) !== why) this.log.warn({ address, why }, 'a stream has ended');
    this.lastWhy.set(address, why);
    this.lastEnd = why;
    if (!this.link.connected) this.link.why = why;
  }

  private spec(fence: OwnerFence, { revision, hash, specJson }: DownMessages['spec']): void {
    const parsed = parseEdgeSpec(Buffer.from(specJson).toString());
    if (!parsed.ok) return this.unread(fence, revision, `can't be read: ${parsed.reason}`);
    if (specHash(parsed.value) !== hash) return this.unread(fence, revision, 'has another hash');
    this.agent().put({ kind: 'specReceived', fence, revision, hash, spec: parsed.value });
  }

  private unread(fence: OwnerFence, revision: number, reason: string): void {
    this.log.warn({ revision, reason }, 'a spec was refused');
    this.agent().put({ kind: 'specUnread', fence, revision, reason });
  }

  private async ask({ id, questionJson }: DownMessages['filterRequest']): Promise<void> {
    const filterReply = await askFilter(this.doors.host, questionJson).then(
      (answerJson) => ({ id, answerJson, error: '' }),
      (error: Error) => ({ id, answerJson: Buffer.alloc(0), error: error.message }),
    );
    this.send({ message: 'filterReply', filterReply });
  }

  private answer(id: number): void {
    const statusJson = Buffer.from(JSON.stringify(this.agent().status()));
    this.send({ message: 'statusReply', statusReply: { id, statusJson } });
  }
}
