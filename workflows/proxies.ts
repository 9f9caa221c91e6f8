/**
 * Activities as workflows call them: one proxy for each kind of waiting. Queues are named by node and
 * shard, so a workflow never asks who is behind them.
 */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { BlocklistActivities } from '../activities/blocklists';
import type { ClusterActivities } from '../activities/cluster';
import type { EdgeActivities } from '../activities/edge';
import { edgeQueue, shardQueue } from '../core/model/ids';
import type { NodeName } from '../core/model/ids';
import { shardOf } from '../core/ring/shard';

const RETRY = { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' } as const;

/** A killed worker is noticed after this, and the activity goes to its successor. */
const HEARTBEAT = '5s';

/**
 * The same of a controller, which thousands of edges that connect at once may hold up for nine seconds; and a task that a server
 * handed to nobody (decision 0145).
 */
export const CONTROLLER_HEARTBEAT = '12s';

/** A plan of the edge takes well below a second; this is for a host that is on its knees. */
const PLAN_TIMEOUT = '2m';

/** A repair: an edge that is not there reports again when it is, so nobody waits for it here. */
export const repairOn = (node: NodeName) =>
  proxyActivities<EdgeActivities>({
    taskQueue: edgeQueue(node),
    scheduleToStartTimeout: '10s',
    startToCloseTimeout: PLAN_TIMEOUT,
    heartbeatTimeout: HEARTBEAT,
    retry: { ...RETRY, maximumAttempts: 3 },
  });

/**
 * One stage of building up or taking away: an agent that restarts is waited for, and a cancelled
 * step has ended before its undo begins.
 */
export const buildOn = (node: NodeName) =>
  proxyActivities<EdgeActivities>({
    taskQueue: edgeQueue(node),
    scheduleToStartTimeout: '1m',
    startToCloseTimeout: PLAN_TIMEOUT,
    heartbeatTimeout: HEARTBEAT,
    retry: { ...RETRY, maximumAttempts: 5 },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  });

/** Reads and writes of the cluster's state: retried for as long as it takes, e.g. to elect a leader. */
export const clusterOf = (node: NodeName) =>
  proxyActivities<ClusterActivities>({
    taskQueue: shardQueue(shardOf(node)),
    startToCloseTimeout: '30s',
    heartbeatTimeout: CONTROLLER_HEARTBEAT,
    retry: RETRY,
  });

/** As above, for a caller that would rather hear at once that the phase is somebody else's. */
export const contendFor = (node: NodeName) =>
  proxyActivities<ClusterActivities>({
    taskQueue: shardQueue(shardOf(node)),
    startToCloseTimeout: '30s',
    heartbeatTimeout: CONTROLLER_HEARTBEAT,
    retry: { ...RETRY, nonRetryableErrorTypes: ['PhaseConflict'] },
  });

/** As above, and a cancelled request has ended before its undo begins. */
export const holdPhaseOf = (node: NodeName) =>
  proxyActivities<ClusterActivities>({
    taskQueue: shardQueue(shardOf(node)),
    startToCloseTimeout: '30s',
    heartbeatTimeout: CONTROLLER_HEARTBEAT,
    retry: { ...RETRY, nonRetryableErrorTypes: ['PhaseConflict'] },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  });

/** Waits for an edge; `limitMs` null: for as long as it takes. */
export const awaitEdgeOf = (node: NodeName, limitMs: number | null) =>
  proxyActivities<Pick<ClusterActivities, 'awaitEdge'>>({
    taskQueue: shardQueue(shardOf(node)),
    startToCloseTimeout: '10m',
    ...(limitMs === null ? {} : { scheduleToCloseTimeout: limitMs }),
    heartbeatTimeout: CONTROLLER_HEARTBEAT,
    retry: { ...RETRY, maximumInterval: '1m' },
  });

/** A feed may be slow, and large; whoever asks again does so at its next time. */
export const feedOf = (blocklist: string) =>
  proxyActivities<BlocklistActivities>({
    taskQueue: shardQueue(shardOf(blocklist)),
    scheduleToStartTimeout: '30s',
    startToCloseTimeout: '5m',
    heartbeatTimeout: CONTROLLER_HEARTBEAT,
    retry: { ...RETRY, maximumAttempts: 3 },
  });

export const auditOf = (shard: number) =>
  proxyActivities<Pick<ClusterActivities, 'auditShard'>>({
    taskQueue: shardQueue(shard),
    // A shard without an owner is named in the result instead of holding up the others.
    scheduleToStartTimeout: '30s',
    startToCloseTimeout: '1m',
    heartbeatTimeout: CONTROLLER_HEARTBEAT,
    // Each former owner of the last ten seconds may refuse it once.
    retry: { ...RETRY, maximumAttempts: 5 },
  });
