/** The edge stream as the machine sees it: what comes down becomes inputs, checked first. */
import { EdgeStreamClient } from '../../adapters/edge-stream/client';
import type { DownMessages, Hello, Up } from '../../adapters/edge-stream/proto';
import type { Logger } from '../../adapters/telemetry/logger';
import type { OwnerFence } from '../../core/model/edge-spec';
import { specHash } from '../../core/model/hash';
import type { FilterPort } from '../../core/model/host';
import { parseEdgeSpec } from '../../core/model/values';
import type { EdgeConfig } from '../config/edge';
import type { Agent } from './agent';
import { askFilter } from './ask';
import type { Chunks } from './chunks';
import { clockMs } from './clock';
import type { EdgeMetrics } from './metrics';
import type { Routing } from './routing';

export interface ControllerLink {
  connected: boolean;
  address: string | null;
  sinceMs: number | null;
}

/** Where what comes down goes besides the machine. */
export interface StreamDoors {
  chunks: Pick<Chunks, 'take' | 'connected'>;
  host: FilterPort;
  routing: Pick<Routing, 'connected' | 'acknowledged'>;
}

export class Stream {
  /** As status shows it. */
  link: ControllerLink = { connected: false, address: null, sinceMs: null };
  private readonly client: EdgeStreamClient;
  private lastWhy = '';

  constructor(
    config: Pick<EdgeConfig, 'controllers' | 'tls'>,
    private readonly identity: { incarnation: number; agentVersion: string },
    private readonly agent: () => Agent,
    private readonly doors: StreamDoors,
    private readonly log: Logger,
    private readonly metrics: EdgeMetrics,
  ) {
    this.client = new EdgeStreamClient(config, {
      hello: () => this.hello(),
      connected: (controller) => this.connected(controller),
      disconnected: (why) => this.disconnected(why),
      message: (fence, down) => {
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
            return void this.doors.chunks.take(down.chunk);
          case 'filterRequest':
            return void this.ask(down.filterRequest);
          case 'routingAck':
            return this.doors.routing.acknowledged(down.routingAck.sequence);
        }
      },
    });
  }

  start(): void {
    this.client.start();
  }

  send(message: Up): boolean {
    return this.client.send(message);
  }

  close(): void {
    this.client.close();
  }

  private hello(): Hello {
    const { accepted, memory } = this.agent();
    return {
      ...this.identity,
      acceptedRevision: accepted?.spec.revision ?? 0,
      acceptedHash: accepted?.hash ?? '',
      appliedHash: memory.appliedHash ?? '',
    };
  }

  private connected(address: string): void {
    this.link = { connected: true, address, sinceMs: clockMs() };
    this.lastWhy = '';
    this.metrics.connected.set({ to: 'controller' }, 1);
    this.log.info({ controller: address }, 'connected to a controller');
    this.agent().put({ kind: 'connected' });
    this.doors.chunks.connected();
    this.doors.routing.connected();
  }

  private disconnected(why: string): void {
    const was = this.link.connected;
    this.link = { connected: false, address: null, sinceMs: was ? clockMs() : this.link.sinceMs };
    this.metrics.connected.set({ to: 'controller' }, 0);
    // The same reason, time after time, is one line.
    if (why !== this.lastWhy) this.log.warn({ why }, 'no controller');
    this.lastWhy = why;
    if (was) this.agent().put({ kind: 'disconnected' });
  }

  private spec(fence: OwnerFence, { revision, hash, specJson }: DownMessages['spec']): void {
    const parsed = parseEdgeSpec(Buffer.from(specJson).toString());
    if (!parsed.ok) return this.refuse(revision, `it can't be read: ${parsed.reason}`);
    if (specHash(parsed.value) !== hash) return this.refuse(revision, 'its hash is another one');
    this.agent().put({ kind: 'specReceived', fence, revision, hash, spec: parsed.value });
  }

  private refuse(revision: number, reason: string): void {
    this.log.warn({ revision, reason }, 'a spec was refused');
    this.send({ message: 'specRefused', specRefused: { revision, reason } });
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
