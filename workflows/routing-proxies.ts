/** The verbs on announcements as workflows call them: one proxy for each kind of waiting. */
import {
  ActivityCancellationType,
  proxyActivities,
  proxyLocalActivities,
} from '@temporalio/workflow';
import type { RoutingActivities } from '../activities/routing';
import { shardQueue } from '../core/model/ids';
import { shardOf } from '../core/ring/shard';
import { CONTROLLER_HEARTBEAT } from './proxies';

const RETRY = { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' } as const;

/** What is placed where: any controller can tell, so it costs no hop. */
export const { placement } = proxyLocalActivities<Pick<RoutingActivities, 'placement'>>({
  startToCloseTimeout: '5s',
  retry: { ...RETRY, initialInterval: '50ms' },
});

/**
 * Commands, by the shard of the node or of the service's name: retried for as long as it takes, or as
 * `limitMs` says. One that is cancelled has ended before its undo begins.
 */
export const commandBy = (name: string, limitMs: number | null = null) =>
  proxyActivities<Pick<RoutingActivities, 'commandNode' | 'commandTraffic'>>({
    taskQueue: shardQueue(shardOf(name)),
    startToCloseTimeout: '10s',
    ...(limitMs === null ? {} : { scheduleToCloseTimeout: limitMs }),
    heartbeatTimeout: CONTROLLER_HEARTBEAT,
    retry: RETRY,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  });

/** A look at the nodes of one shard. A shard without an owner is not waited for: its nodes are unknown. */
export const lookAt = (shard: number) =>
  proxyActivities<Pick<RoutingActivities, 'routingOf'>>({
    taskQueue: shardQueue(shard),
    scheduleToStartTimeout: '1s',
    startToCloseTimeout: '5s',
    // By time: a former owner of the shard may refuse it, and that is none of its attempts.
    scheduleToCloseTimeout: '10s',
    retry: RETRY,
  });

type Waits = Pick<
  RoutingActivities,
  'awaitStance' | 'awaitSeen' | 'awaitQuiet' | 'awaitSessions' | 'countersOf'
>;

/** For an activity to come to a worker: beside what it may take itself. */
const DISPATCH_MS = 2_000;

/** Waits of at most `limitMs`; an activity that nobody takes fails a little later. */
export const waitBy = (name: string, limitMs: number) =>
  proxyActivities<Waits>({
    taskQueue: shardQueue(shardOf(name)),
    startToCloseTimeout: limitMs,
    scheduleToCloseTimeout: limitMs + DISPATCH_MS,
    heartbeatTimeout: CONTROLLER_HEARTBEAT,
    retry: RETRY,
  });
