/**
 * The activities of a simulated edge, on `edge/<node>`: as an agent's Worker it polls by a connection of its
 * own, with its certificate, through the gateway of the controller that its stream leads to. Two polls are open
 * as there. Decision 0130 says why it is no Worker of the SDK.
 */
import { readFile } from 'node:fs/promises';
import * as grpc from '@grpc/grpc-js';
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { CONTROLLER_SERVER_NAME } from '../../adapters/edge-stream/proto';
import { EDGE_NAMESPACE } from '../../adapters/gateway/rules';
import { pollLightly, type LightTask } from '../../adapters/temporal/light-poller';
import { edgeQueue } from '../../core/model/ids';
import type { EdgeMetrics } from '../edge/metrics';
import type { SimEdge } from './edge';

/** As `workers/edge/temporal.ts`: the second one keeps status from waiting behind a repair. */
const POLLS = 2;
const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc.ssl_target_name_override': CONTROLLER_SERVER_NAME,
  'grpc.default_authority': CONTROLLER_SERVER_NAME,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_reconnect_backoff_ms': 5_000,
};

export class SimActivities {
  /** Aborted when the edge has another gateway. */
  private line: AbortController | null = null;
  private target: string | null = null;

  constructor(
    private readonly edge: SimEdge,
    private readonly metrics: EdgeMetrics,
  ) {
    edge.stream.onChange(() => this.look());
    this.look();
  }

  close(): void {
    this.line?.abort();
    this.line = null;
    this.target = null;
    this.edge.temporal.connected = false;
  }

  private look(): void {
    const { gateway } = this.edge.stream;
    // One that is gone may be back before there is another one.
    if (gateway === null || gateway === this.target) return;
    this.close();
    this.target = gateway;
    this.line = new AbortController();
    void this.run(gateway, this.line.signal).catch(() => this.close());
  }

  private async run(address: string, signal: AbortSignal): Promise<void> {
    const { ca, cert, key } = this.edge.tls;
    const [authority, crt, secret] = await Promise.all(
      [ca, cert, key].map((path) => readFile(path)),
    );
    if (signal.aborted || !authority || !crt || !secret) return;
    const credentials = grpc.credentials.createSsl(authority, secret, crt);
    const client = new grpc.Client(address, credentials, CHANNEL_OPTIONS);
    const { node } = this.edge;
    const options = {
      client,
      namespace: EDGE_NAMESPACE,
      identity: `${node}@${process.pid}`,
      taskQueue: edgeQueue(node),
      run: (task: LightTask) => this.perform(task),
      onHealth: (up: boolean) => {
        if (!signal.aborted) this.edge.temporal.connected = up;
      },
      signal,
    };
    // It ends the polls under way as well.
    signal.addEventListener('abort', () => client.close(), { once: true });
    await Promise.all(Array.from({ length: POLLS }, () => pollLightly(options)));
  }

  private perform(task: LightTask): Promise<unknown> {
    const waitedMs = Math.max(0, Date.now() - task.scheduledAtMs);
    this.metrics.queueLatencySeconds.observe({ value: waitedMs / 1000 });
    const activities = this.edge.activities as Record<string, (a: never) => Promise<unknown>>;
    const activity = activities[task.type];
    if (activity === undefined) throw new Error(`an edge has no activity ${task.type}`);
    return asyncLocalStorage.run(contextOf(task), () => activity(task.argument as never));
  }
}

const NEVER = {
  cancellationSignal: new AbortController().signal,
  cancelled: new Promise<never>(() => undefined),
};

/** As much of a Context as the activities of an edge ask for. */
const contextOf = (task: LightTask): Context => {
  const needed: Pick<Context, 'cancellationSignal' | 'cancelled' | 'heartbeat'> = {
    ...NEVER,
    heartbeat: () => task.heartbeat(),
  };
  return needed as Context;
};
