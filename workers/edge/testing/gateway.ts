/** Controllers reduced to their activity gateway, over a real Temporal, and an agent that is led to them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import type { EdgePort } from '../../../activities/edge';
import { caInit, caIssue } from '../../../adapters/ca/authority';
import type { Calls, TlsPaths } from '../../../adapters/edge-stream/dial';
import { type EdgeStreamServer, serveEdgeStreams } from '../../../adapters/edge-stream/server';
import { type Barred, createGateway, type Gateway } from '../../../adapters/gateway/server';
import { TaskTokens } from '../../../adapters/gateway/tokens';
import { RawTemporal } from '../../../adapters/temporal/raw';
import { createLogger } from '../../../adapters/telemetry/logger';
import type { Guard } from '../guard';
import { createEdgeMetrics } from '../metrics';
import type { Leading } from '../tunnel';
import { asIs } from '../../../adapters/grpc/raw';

/** Each with the certificates of one authority and one secret, as in a cluster. */
export class Gateways {
  readonly directory = mkdtempSync(join(tmpdir(), `aether-gateway-${process.pid}-`));
  private barred: Barred | null = null;
  private readonly tokens = new TaskTokens(Buffer.alloc(32, 7));
  private readonly running = new Map<string, { server: EdgeStreamServer; gateway: Gateway }>();

  static async open(t: Pick<TestContext, 'after'>): Promise<Gateways> {
    const gateways = new Gateways();
    t.after(async () => {
      for (const name of [...gateways.running.keys()]) await gateways.stop(name);
      rmSync(gateways.directory, { recursive: true, force: true });
    });
    await caInit(gateways.directory);
    return gateways;
  }

  async edge(node: string): Promise<{ ca: string; cert: string; key: string }> {
    const { certPath, keyPath } = await caIssue(this.directory, { role: 'edge', id: node });
    return { ca: join(this.directory, 'ca.pem'), cert: certPath, key: keyPath };
  }

  /** Serves as controller `name`; gives its address. `temporal`: host:port. */
  async start(name: string, temporal: string, calls: string[] = []): Promise<string> {
    const issued = await caIssue(this.directory, { role: 'controller', id: name });
    const [ca, cert, key] = [join(this.directory, 'ca.pem'), issued.certPath, issued.keyPath].map(
      (path) => readFileSync(path),
    ) as [Buffer, Buffer, Buffer];
    const namespace = 'default';
    const upstream = new RawTemporal({ address: temporal }, namespace);
    const gateway = createGateway({
      cluster: () => ({ namespace, tokens: this.tokens, upstream }),
      bar: () => this.barred,
      refusedPaths: [],
      onCall: (method, outcome) => calls.push(`${method} ${outcome}`),
      onRefused: () => undefined,
    });
    const server = await serveEdgeStreams(
      { listen: '127.0.0.1:0', tls: { ca, cert, key }, controller: name, beside: gateway },
      {
        fenceOf: () => null,
        connected: () => undefined,
        message: () => undefined,
        drained: () => undefined,
        disconnected: () => undefined,
      },
    );
    this.running.set(name, { server, gateway });
    return `127.0.0.1:${server.port}`;
  }

  /** Every certificate is of no use from now on; null: of use again. */
  bar(barred: Barred | null, edge: string): void {
    this.barred = barred;
    for (const { gateway } of this.running.values()) gateway.look(edge);
  }

  async stop(name: string): Promise<void> {
    const found = this.running.get(name);
    this.running.delete(name);
    found?.gateway.close();
    await found?.server.close();
  }
}

/** Where an edge stream would lead. */
export class Led implements Leading {
  private readonly listeners: (() => void)[] = [];
  private client: grpc.Client | null = null;
  gateway: Calls | null = null;
  readonly primary = null;
  readonly learned = [];

  constructor(private readonly tls: TlsPaths | null = null) {}

  renew(): Promise<void> {
    return Promise.resolve();
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** As a stream does it, the former connection is left when the next one is there. */
  lead(address: string | null): void {
    const former = this.client;
    this.client = address === null || this.tls === null ? null : dialed(address, this.tls);
    this.gateway = this.client && callsOf(this.client);
    former?.close();
    for (const listener of this.listeners) listener();
  }
}

function dialed(address: string, { ca, cert, key }: TlsPaths): grpc.Client {
  const [root, chain, secret] = [ca, cert, key].map((path) => readFileSync(path));
  const name = 'controller.aether';
  return new grpc.Client(address, grpc.credentials.createSsl(root, secret, chain), {
    'grpc.ssl_target_name_override': name,
    'grpc.default_authority': name,
    'grpc.use_local_subchannel_pool': 1,
  });
}

const callsOf = (client: grpc.Client): Calls => ({
  call: (path, request, deadline, done) =>
    client.makeUnaryRequest(path, asIs, asIs, request, { deadline }, done),
});

export const guardOf = (stream: Led, port: Partial<EdgePort> = {}): Guard => ({
  port: port as EdgePort,
  log: createLogger('error', {}),
  metrics: createEdgeMetrics(),
  stream,
  temporal: { connected: false },
  stop: () => Promise.resolve(),
});
