/** What the cluster's activities do here: reads of etcd, fenced writes, and words to workflows. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditResult, ClusterPort, DesiredNode } from '../../activities/cluster';
import type { EtcdClient } from '../../adapters/etcd/client';
import { type Change, unchanged } from '../../adapters/etcd/port';
import type { NodeFacts, TemporalClient } from '../../adapters/temporal/client';
import type { Phase } from '../../core/model/edge-spec';
import { Refusal } from '../../core/model/errors';
import type { NodeName } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import type { ReleasePhase } from '../../core/model/messages';
import { parseNodeValue, parsePhaseValue, valueText } from '../../core/model/values';
import { shardOf } from '../../core/ring/shard';
import { type CompiledNode, type DesiredState, readKey, stateOf } from './desired';
import type { EdgeFacts, Edges } from './edges';
import { type Shards, staleFence } from './shards';

export interface ClusterDependencies {
  etcd: EtcdClient;
  desired: DesiredState;
  shards: Shards;
  edges: Edges;
  temporal: () => Promise<TemporalClient>;
  /** An audit saw that this node is not as it shall be: try again whatever can be tried. */
  retry: (node: NodeName) => void;
}

/** An edge that waits to be seen is asked this often; it answers from memory. */
const ASK_EVERY_MS = 250;

export class ControllerCluster implements ClusterPort {
  readonly #deps: ClusterDependencies;

  constructor(dependencies: ClusterDependencies) {
    this.#deps = dependencies;
  }

  /** Read from etcd itself: a workflow must see what it has just had written. */
  async desired(node: NodeName): Promise<DesiredNode> {
    const { etcd } = this.#deps;
    const [nodeKey, phase] = await Promise.all([
      etcd.get(keys.node(node)),
      etcd.get(keys.phase(node)),
    ]);
    const present = readKey(nodeKey, parseNodeValue);
    const { neighbors = [] } = present?.value.resource.spec.bgp ?? {};
    return {
      ...stateOf(present, readKey(phase, parsePhaseValue)),
      ...(neighbors.length === 0 ? {} : { neighbors: neighbors.map(({ address }) => address) }),
    };
  }

  async writePhase(node: NodeName, phase: Phase | null, expectedRevision: number): Promise<number> {
    const key = keys.phase(node);
    const change: Change =
      phase === null ? { op: 'delete', key } : { op: 'put', key, value: valueText({ phase }) };
    const condition = unchanged(key, expectedRevision);
    const outcome = await this.#deps.shards.write(shardOf(node), [condition], [change]);
    if (outcome.committed) return phase === null ? 0 : outcome.revision;
    const found = outcome.found.find((entry) => entry.key === key) ?? null;
    const present = readKey(found, parsePhaseValue);
    // Only the node's lifecycle writes here, so this is our own write of an attempt that was cut.
    if ((present?.value.phase ?? null) === phase) return present?.revision ?? 0;
    const actualRevision = present?.revision ?? null;
    throw new Refusal(
      { code: 'PhaseMoved', node, expectedRevision, actualRevision },
      `phases/${node} is at revision ${actualRevision ?? 'none'}, not ${expectedRevision}; nothing was written; read it and decide again.`,
    );
  }

  async awaitEdge(node: NodeName, revision: number, ended: AbortSignal) {
    const { edges, shards } = this.#deps;
    const shard = shardOf(node);
    while (!ended.aborted) {
      // Its edge goes to the next owner, who has to be asked.
      if (!shards.keeps(shard)) throw staleFence(shard, shards.fence(shard)?.ownerRevision ?? 0);
      edges.push(node);
      if (edges.get(node)?.session) {
        const { accepted, incarnation } = await edges.status(node).catch(() => NO_ANSWER);
        if (accepted !== null && accepted.revision >= revision) {
          return { incarnation, acceptedRevision: accepted.revision };
        }
      }
      await sleep(ASK_EVERY_MS, undefined, { signal: ended }).catch(() => undefined);
    }
    throw absent(node, edges.get(node));
  }

  async removeNode(node: NodeName, force: boolean, marked: number | null): Promise<void> {
    const { etcd, shards } = this.#deps;
    const entry = await etcd.get(keys.node(node));
    const present = readKey(entry, parseNodeValue);
    if (!present) return;
    const { deletionRevision } = present.value;
    // An earlier attempt, whose answer was lost, has removed it; this is another node of its name.
    if (marked !== null && deletionRevision !== marked) return;
    if (deletionRevision === null && !force) {
      throw new Refusal(
        { code: 'NotMarkedForDeletion', node },
        `nodes/${node} is not marked for deletion; nothing was written; delete it first, or use force.`,
      );
    }
    const gone = [keys.node(node), keys.phase(node), keys.override(node), keys.routing(node)];
    const outcome = await shards.write(
      shardOf(node),
      [unchanged(keys.node(node), present.revision)],
      [
        ...gone.map((key) => ({ op: 'delete', key }) as const),
        { op: 'put', key: keys.removed(node), value: valueText({ atMs: Date.now() }) },
      ],
    );
    // It moved between the reading and the write: look again.
    if (!outcome.committed) await this.removeNode(node, force, marked);
  }

  /** Compares what is wanted with what was reported; costs one activity however many nodes. */
  async auditShard(shard: number): Promise<AuditResult> {
    const { desired, edges, retry, shards } = this.#deps;
    if (!shards.holds(shard)) {
      const ownerRevision = shards.fence(shard)?.ownerRevision ?? 0;
      throw new Refusal({ code: 'StaleFence', shard, ownerRevision }, `Shard ${shard} has moved.`);
    }
    const nodes = desired.inShard(shard);
    const differing: AuditResult['differing'] = [];
    for (const node of nodes) {
      const why = difference(desired.of(node), edges.get(node));
      if (why === null) continue;
      differing.push({ node, why });
      retry(node);
    }
    return { shard, checked: nodes.length, differing };
  }

  async shardsWithNodes(): Promise<number[]> {
    const { desired } = this.#deps;
    if (!desired.ready) throw new Error('etcd was not read yet; nothing was changed');
    return desired.shards();
  }

  async requestPhase(node: NodeName, phase: Phase, holder: string, takeOver: string | null) {
    const temporal = await this.#deps.temporal();
    return temporal.requestPhase(nodeFacts(this.#deps.desired, node), { phase, holder, takeOver });
  }

  async isRunning(workflowId: string): Promise<boolean> {
    return (await this.#deps.temporal()).isRunning(workflowId);
  }

  async releasePhase(
    node: NodeName,
    holder: string,
    outcome: ReleasePhase['outcome'],
    next: Phase | null,
  ): Promise<void> {
    const temporal = await this.#deps.temporal();
    await temporal.releasePhase(nodeFacts(this.#deps.desired, node), { holder, outcome, next });
  }
}

export function nodeFacts(desired: DesiredState, node: NodeName): NodeFacts {
  const resource = desired.inputs(node).node?.value.resource;
  return { node, region: resource?.metadata.region ?? null };
}

const NO_ANSWER = { accepted: null, incarnation: 0 };

/** Of a moment of the monotonic clock: epoch ms, for people. */
const atWall = (ms: number): number => Math.round(Date.now() - (performance.now() - ms));

const absent = (node: NodeName, edge: EdgeFacts | null): Refusal =>
  new Refusal(
    { code: 'EdgeAbsent', node, lastSeenMs: edge && atWall(edge.lastSeenMs) },
    edge?.session
      ? `Edge ${node} has not accepted its spec${edge.refused === null ? '' : `: ${edge.refused}`}.`
      : `Edge ${node} is not connected; start its agent, or look at that agent's log.`,
  );

/** Why an audit looks at a node again; null: it is as it shall be. */
export function difference(desired: CompiledNode, edge: EdgeFacts | null): string | null {
  if (desired.deletionRevision !== null) return 'it is to be deleted';
  if (desired.unread !== null) return `${desired.unread} in etcd can't be read`;
  if (desired.spec === null) return 'it has no phase yet';
  if (desired.phase === 'onboarding') return 'it is being onboarded';
  if (desired.phase === 'decommissioning') return 'its onboarding was not taken back';
  if (!edge?.session) return 'its edge is not connected';
  if (edge.refused !== null) return `its edge refused the spec: ${edge.refused}`;
  if (edge.appliedHash !== desired.hash) return 'its edge has applied another spec, or none';
  return edge.open === null ? null : `drift ${edge.open.incidentId} is open`;
}
