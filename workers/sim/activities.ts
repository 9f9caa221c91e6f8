/**
 * The activities of simulated edges, on `edge/<node>` each. A Worker of the SDK for each would be two
 * thousand times 0.3 to 0.8 MB: decision 0130 says why a light poller does it here.
 */
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import type { Connection } from '@temporalio/client';
import { lightConnection, pollLightly, type LightTask } from '../../adapters/temporal/light-poller';
import { edgeQueue } from '../../core/model/ids';
import type { SimConfig } from '../config/sim';
import type { EdgeMetrics } from '../edge/metrics';
import type { SimEdge } from './edge';

export class SimActivities {
  private readonly connection: Connection;
  private readonly stopping = new AbortController();
  private readonly running = new Set<Promise<void>>();
  private readonly namespace: string;

  constructor(
    config: SimConfig,
    private readonly metrics: EdgeMetrics,
  ) {
    this.connection = lightConnection(config.temporal);
    this.namespace = config.temporal.namespace ?? 'default';
  }

  serve(edge: SimEdge): void {
    const polling = pollLightly({
      connection: this.connection,
      namespace: this.namespace,
      identity: `${edge.node}@${process.pid}`,
      taskQueue: edgeQueue(edge.node),
      run: (task) => this.run(edge, task),
      onHealth: (up) => (edge.temporal.connected = up),
      signal: this.stopping.signal,
    }).finally(() => this.running.delete(polling));
    this.running.add(polling);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.connection.close();
    await Promise.all(this.running);
  }

  private run(edge: SimEdge, task: LightTask): Promise<unknown> {
    const waitedMs = Math.max(0, Date.now() - task.scheduledAtMs);
    this.metrics.queueLatencySeconds.observe({ value: waitedMs / 1000 });
    const activities = edge.activities as Record<string, (argument: never) => Promise<unknown>>;
    const activity = activities[task.type];
    if (activity === undefined) throw new Error(`an edge has no activity ${task.type}`);
    const context = contextOf(task);
    return asyncLocalStorage.run(context, () => activity(task.argument as never));
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
