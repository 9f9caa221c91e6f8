/**
 * The activities of a simulated edge, on `edge/<node>`: as an agent's Worker it polls over the connection of its
 * stream, through the gateway of the controller that this leads to. Two polls are open as there. Decision 0130 says why
 * it is no Worker of the SDK.
 */
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import type { Calls } from '../../adapters/edge-stream/dial';
import { EDGE_NAMESPACE } from '../../adapters/gateway/rules';
import { pollLightly, type LightTask } from '../../adapters/temporal/light-poller';
import { edgeQueue } from '../../core/model/ids';
import type { EdgeMetrics } from '../edge/metrics';
import type { SimEdge } from './edge';

/** As `workers/edge/temporal.ts`: the second one keeps status from waiting behind a repair. */
const POLLS = 2;

export class SimActivities {
  /** Aborted when the edge has another gateway. */
  private line: AbortController | null = null;
  private target: Calls | null = null;

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
    void this.run(gateway, this.line.signal);
  }

  private async run(calls: Calls, signal: AbortSignal): Promise<void> {
    const { node } = this.edge;
    const options = {
      calls,
      namespace: EDGE_NAMESPACE,
      identity: `${node}@${process.pid}`,
      taskQueue: edgeQueue(node),
      run: (task: LightTask) => this.perform(task),
      onHealth: (up: boolean) => {
        if (!signal.aborted) this.edge.temporal.connected = up;
      },
      signal,
    };
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
