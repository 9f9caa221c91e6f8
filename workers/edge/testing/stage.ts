/** The agent over a host in memory, and a controller reduced to its end of the stream, for tests. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { caInit, caIssue } from '../../../adapters/ca/authority';
import type { DownMessages, Hello, Up } from '../../../adapters/edge-stream/proto';
import {
  type EdgeSession,
  type EdgeStreamServer,
  serveEdgeStreams,
} from '../../../adapters/edge-stream/server';
import type { OneOf } from '../../../adapters/grpc/service';
import { waitFor } from '../../../adapters/native/test-support';
import type { EdgeSpec, OwnerFence } from '../../../core/model/edge-spec';
import { canonicalJson, specHash } from '../../../core/model/hash';
import type { DriftReport } from '../../../core/model/messages';
import { MemoryHost } from '../../sim/memory-host';
import type { EdgeConfig } from '../../config/edge';
import { blobsOf, type Guard, startGuard } from '../guard';
import { exampleSpec, NODE } from './test-host';

export const FENCE: OwnerFence = { clusterIncarnation: 1, shard: 7, ownerRevision: 42 };

/** Long enough for a test to decide first, short enough to wait for. */
export const AUTONOMY_MS = 1_000;

export const spec = (revision: number): EdgeSpec => {
  const example = exampleSpec(revision);
  return { ...example, repair: { ...example.repair, autonomyAfterMs: AUTONOMY_MS } };
};

/** A controller reduced to its end of the stream. */
export class Controller {
  readonly heard: Up[] = [];
  readonly hellos: Hello[] = [];
  /** Null: it owns nobody. */
  fence: OwnerFence | null = FENCE;
  /** What it answers to an edge that asks for a chunk; null: there is none. */
  readonly chunks = new Map<string, Buffer | null>();
  /** What it answers to an edge that asks for a delta, by both names. */
  readonly deltas = new Map<string, Uint8Array>();
  private session: EdgeSession | null = null;

  private constructor(
    readonly id: string,
    private server: EdgeStreamServer,
    private readonly start: (port: number) => Promise<EdgeStreamServer>,
  ) {}

  static async create(t: TestContext, directory: string, id = 'c1'): Promise<Controller> {
    const issued = await caIssue(directory, { role: 'controller', id });
    const [ca, cert, key] = [join(directory, 'ca.pem'), issued.certPath, issued.keyPath].map(
      (path) => readFileSync(path),
    ) as [Buffer, Buffer, Buffer];
    let self: Controller;
    const start = (port: number) =>
      serveEdgeStreams(
        { listen: `127.0.0.1:${port}`, tls: { ca, cert, key }, controller: id },
        {
          fenceOf: () => self.fence,
          connected: (session, hello) => {
            self.session = session;
            self.hellos.push(hello);
          },
          message: (_, message) => self.hear(message),
          drained: () => undefined,
          disconnected: () => undefined,
        },
      );
    self = new Controller(id, await start(0), start);
    t.after(() => self.server.close());
    return self;
  }

  get address(): string {
    return `127.0.0.1:${this.server.port}`;
  }

  /** The shard is its own now; whoever is connected hears it. */
  own(ownerRevision: number): void {
    this.fence = { ...FENCE, ownerRevision };
    this.session?.beat();
  }

  /** Sends the edge to another one. */
  redirect({ id, address }: Controller): void {
    assert.ok(this.session?.redirect({ id, address }), 'nobody is connected');
  }

  async restart(): Promise<void> {
    const { port } = this.server;
    await this.server.close();
    this.server = await this.start(port);
  }

  /** Every chunk that was asked for, in order. */
  asked(): string[] {
    return this.heard.flatMap((up) =>
      up.message === 'chunkRequest' ? up.chunkRequest.sha256 : [],
    );
  }

  private hear(message: Up): void {
    this.heard.push(message);
    if (message.message === 'deltaRequest') {
      const { from, to } = message.deltaRequest;
      const data = this.deltas.get(`${from} ${to}`);
      const delta = { from, to, data: data ?? Buffer.alloc(0), missing: data === undefined };
      this.send({ message: 'delta', delta });
    }
    if (message.message !== 'chunkRequest') return;
    for (const sha256 of message.chunkRequest.sha256) {
      const data = this.chunks.get(sha256);
      // What is not in the map at all stays unanswered.
      if (data !== undefined) this.sendChunk(sha256, data);
    }
  }

  sendChunk(sha256: string, data: Buffer | null): void {
    const chunk = { sha256, data: data ?? Buffer.alloc(0), missing: data === null };
    this.send({ message: 'chunk', chunk });
  }

  send(message: OneOf<DownMessages>): void {
    assert.ok(this.session?.send(message), 'nobody is connected');
  }

  push(pushed: EdgeSpec, hash = specHash(pushed)): void {
    const specJson = Buffer.from(canonicalJson(pushed));
    this.send({ message: 'spec', spec: { revision: pushed.revision, hash, specJson } });
  }

  /** The n-th message of that kind. */
  async nth<K extends Up['message']>(kind: K, n = 1): Promise<Extract<Up, { message: K }>> {
    const found = await waitFor(`${n}. ${kind}`, () => {
      const all = this.heard.filter(({ message }) => message === kind);
      return all[n - 1] ?? null;
    });
    return found as Extract<Up, { message: K }>;
  }

  async drift(n = 1): Promise<DriftReport> {
    const { drift } = await this.nth('drift', n);
    return JSON.parse(Buffer.from(drift.reportJson).toString()) as DriftReport;
  }
}

export interface Stage {
  /** Of the authority that all certificates are of. */
  authority: string;
  controller: Controller;
  host: MemoryHost;
  guard: Guard;
  stateDirectory: string;
  socket: string;
  /** Another agent in the place of this one, over the same host and state. */
  restart(): Promise<Stage>;
}

export async function stage(t: TestContext, stateDirectory?: string): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), 'aether-guard-'));
  const guards: Guard[] = [];
  // In this order: an agent that runs still writes into its directory, and would never end.
  t.after(async () => {
    for (const guard of guards) await guard.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const { certPath: ca } = await caInit(directory);
  const { certPath: cert, keyPath: key } = await caIssue(directory, { role: 'edge', id: NODE });
  const controller = await Controller.create(t, directory);
  const config: EdgeConfig = {
    node: NODE,
    controllers: [controller.address],
    tls: { ca, cert, key },
    stateDirectory: stateDirectory ?? join(directory, 'state'),
    socket: join(directory, 'edge.sock'),
    bfdSocket: join(directory, 'bfd.sock'),
    gobgpSocket: join(directory, 'gobgp.sock'),
    secretsDirectory: directory,
    leaseGraceMs: 30_000,
    failsafe: [],
    metricsListen: '127.0.0.1:0',
    logLevel: 'error',
  };
  let blobs = blobsOf(config);
  const host = new MemoryHost({ read: (sha256) => blobs.read(sha256) });
  const start = async (): Promise<Stage> => {
    const hellos = controller.hellos.length;
    const guard = await startGuard(config, host, blobs);
    guards.push(guard);
    await waitFor('hello', () => controller.hellos[hellos]);
    const restart = async (): Promise<Stage> => {
      await guard.stop();
      blobs = blobsOf(config);
      return start();
    };
    const { stateDirectory: state, socket } = config;
    return {
      authority: directory,
      controller,
      host,
      guard,
      stateDirectory: state,
      socket,
      restart,
    };
  };
  return start();
}

/** Pushed, built up by a workflow's word, and known to be so. */
export async function converge({ controller, guard }: Stage, pushed: EdgeSpec): Promise<void> {
  controller.push(pushed);
  const { incidentId } = await controller.drift();
  const fence = { workflowId: 'w', runId: 'r', revision: pushed.revision, planHash: null };
  const result = await guard.port.reconcile({ node: NODE, incidentId, fence, stages: null });
  assert.equal(result.outcome, 'converged', result.reason ?? '');
  assert.equal((await controller.nth('applied')).applied.hash, specHash(pushed));
}
