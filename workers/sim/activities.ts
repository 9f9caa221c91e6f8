/**
 * The activities of a simulated edge, on `edge/<node>`: as an agent's Worker it polls over the connection of its
 * stream, through the gateway of the controller that this leads to. Decision 0130 says why
 * it is no Worker of the SDK.
 */
import { activityInfo } from '@temporalio/activity';
import type { Calls } from '../../adapters/edge-stream/dial';
import { EDGE_NAMESPACE } from '../../adapters/gateway/rules';
import { WORKFLOW_SERVICE } from '../../adapters/gateway/server';
import type { Activities } from '../../adapters/temporal/activity-work';
import { edgeQueue } from '../../core/model/ids';
import type { EdgeMetrics } from '../edge/metrics';
import type { SimEdge } from './edge';
import { type LightPollerOptions, pollLightly } from './light-poller';

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
      // What outlives its gateway is answered through the next one.
      temporal: (): Way => wayOf(this.target ?? calls),
      namespace: EDGE_NAMESPACE,
      identity: `${node}@${process.pid}`,
      taskQueue: edgeQueue(node),
      activities: this.timed(),
      onHealth: (up: boolean) => {
        if (!signal.aborted) this.edge.temporal.connected = up;
      },
      signal,
    };
    await pollLightly(options);
  }

  /** Each notes how long it has waited. */
  private timed(): Activities {
    const timed = Object.entries(this.edge.activities).map(([name, run]) => [
      name,
      (argument: never): Promise<unknown> => {
        const waitedMs = Date.now() - activityInfo().currentAttemptScheduledTimestampMs;
        this.metrics.queueLatencySeconds.observe({ value: Math.max(0, waitedMs) / 1000 });
        return run(argument);
      },
    ]);
    return Object.fromEntries(timed) as Activities;
  }
}

type Way = ReturnType<LightPollerOptions['temporal']>;

const wayOf = (calls: Calls): Way => ({
  call: (method, ...rest) => calls.call(`/${WORKFLOW_SERVICE}/${method}`, ...rest),
});
