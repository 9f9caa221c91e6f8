/**
 * The safety net below the events: compares what every edge reports with what is wanted. Costs one
 * activity for each shard that has nodes, however many nodes.
 */
import { isCancellation, proxyLocalActivities, setCurrentDetails } from '@temporalio/workflow';
import type { AuditResult, ClusterActivities } from '../activities/cluster';
import { reasonOf } from './failures';
import { auditOf } from './proxies';

const { shardsWithNodes } = proxyLocalActivities<ClusterActivities>({
  startToCloseTimeout: '10s',
});

/** More would only queue up: an audit is not urgent, and repairs share the server with it. */
const IN_FLIGHT = 20;

/** A result stays readable; whatever differs is signalled and has a history of its own. */
const NAMED_MAX = 100;

export interface AuditSummary {
  shards: number;
  checked: number;
  differing: number;
  /** At most 100 of them. */
  nodes: AuditResult['differing'];
  /** Shards that nobody audited, and why. */
  unaudited: { shard: number; why: string }[];
}

export async function auditNodes(): Promise<AuditSummary> {
  const shards = await shardsWithNodes();
  const total: AuditSummary = {
    shards: shards.length,
    checked: 0,
    differing: 0,
    nodes: [],
    unaudited: [],
  };
  const queue = [...shards];
  const worker = async (): Promise<void> => {
    for (let shard = queue.shift(); shard !== undefined; shard = queue.shift()) {
      await auditOne(shard, total);
    }
  };
  setCurrentDetails(`Auditing ${shards.length} shards.`);
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, shards.length) }, worker));
  setCurrentDetails(
    `${total.checked} nodes in ${shards.length} shards: ${total.differing} differ, ` +
      `${total.unaudited.length} shards not audited.`,
  );
  return total;
}

async function auditOne(shard: number, total: AuditSummary): Promise<void> {
  try {
    const summary = `shard ${shard}`;
    const result = await auditOf(shard).auditShard.executeWithOptions({ summary }, [{ shard }]);
    total.checked += result.checked;
    total.differing += result.differing.length;
    total.nodes.push(...result.differing.slice(0, NAMED_MAX - total.nodes.length));
  } catch (error) {
    if (isCancellation(error)) throw error;
    total.unaudited.push({ shard, why: reasonOf(error) });
  }
}
