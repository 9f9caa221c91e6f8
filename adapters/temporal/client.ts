/**
 * What a controller says to workflows. Starting is always safe to repeat: an id is a mutex, and a
 * run that is there is used.
 */
import {
  type Client,
  type Workflow,
  type WorkflowExecutionInfo,
  WithStartWorkflowOperation,
  WorkflowFailedError,
  WorkflowNotFoundError,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { AUDIT_SCHEDULE, type NodeName, WORKFLOW_QUEUE, workflowId } from '../../core/model/ids';
import {
  type DriftReport,
  type Granted,
  type GrantPhase,
  type LifecycleState,
  messageNames,
  type NodeInput,
  type ReleasePhase,
  type RepairRecord,
} from '../../core/model/messages';
import type { FeedOutcome } from '../../core/model/views';

/** A call waits no longer for the server than this; the caller decides about trying again. */
const RPC_TIMEOUT_MS = 5_000;
/** For calls that wait for workflow code, which may have to be replayed first. */
const UPDATE_TIMEOUT_MS = 20_000;

/** A controller that died within a workflow task holds the workflow up no longer than this. */
export const WORKFLOW_TASK_TIMEOUT = '2s';

/** What a workflow is listed by. */
export interface NodeFacts {
  node: NodeName;
  /** Null where it is not known, e.g. the node is gone. */
  region: string | null;
}

export interface WorkflowRun {
  id: string;
  runId: string;
  type: string;
  status: string;
  startedAtMs: number;
}

export class TemporalClient {
  constructor(readonly client: Client) {}

  /** Hands a report to `repairNode`; done once Temporal has it on disk. */
  async reportDrift(facts: NodeFacts, report: DriftReport): Promise<void> {
    await this.#signalRepair(facts, messageNames.drift, report);
  }

  async reportAgentRepair(facts: NodeFacts, record: RepairRecord): Promise<void> {
    await this.#signalRepair(facts, messageNames.repairedByAgent, record);
  }

  /** `join`: one that is open does as well; else throws where one is. */
  async startOnboard(facts: NodeFacts, input: NodeInput, join: boolean): Promise<void> {
    const conflict = join ? 'USE_EXISTING' : 'FAIL';
    await this.#start('onboardNode', workflowId.onboard(facts.node), facts, input, conflict);
  }

  async startDecommission(facts: NodeFacts, input: NodeInput): Promise<void> {
    // By force means: instead of the one that waits for its edge.
    const conflict = input.force ? 'TERMINATE_EXISTING' : 'USE_EXISTING';
    await this.#start(
      'decommissionNode',
      workflowId.decommission(facts.node),
      facts,
      input,
      conflict,
    );
  }

  /** Update-with-start: makes the `nodeLifecycle` of a node that has none. */
  requestPhase(facts: NodeFacts, request: GrantPhase): Promise<Granted> {
    return this.#lifecycle(facts, messageNames.grantPhase, request);
  }

  releasePhase(facts: NodeFacts, request: ReleasePhase): Promise<void> {
    return this.#lifecycle(facts, messageNames.releasePhase, request);
  }

  /** Throws WorkflowNotFoundError where no repair is under way. */
  approve(node: NodeName, planHash: string, by: string): Promise<{ accepted: true }> {
    const repair = this.client.workflow.getHandle(workflowId.repair(node));
    return this.#within(UPDATE_TIMEOUT_MS, () =>
      repair.executeUpdate<{ accepted: true }, [{ planHash: string; by: string }]>(
        messageNames.approve,
        { args: [{ planHash, by }] },
      ),
    );
  }

  /** Freeze or policy has changed: a repair that waits decides again. */
  async reconsider(node: NodeName): Promise<void> {
    const repair = this.client.workflow.getHandle(workflowId.repair(node));
    try {
      await this.#within(RPC_TIMEOUT_MS, () => repair.signal(messageNames.reconsider));
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }

  /** Null where the node never had a lifecycle. */
  async lifecycleState(node: NodeName): Promise<LifecycleState | null> {
    const lifecycle = this.client.workflow.getHandle(workflowId.lifecycle(node));
    try {
      return await this.#within(RPC_TIMEOUT_MS, () =>
        lifecycle.query<LifecycleState>(messageNames.state),
      );
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return null;
      throw error;
    }
  }

  async isRunning(id: string): Promise<boolean> {
    try {
      const { status } = await this.#within(RPC_TIMEOUT_MS, () =>
        this.client.workflow.getHandle(id).describe(),
      );
      return status.name === 'RUNNING';
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  }

  /** For which revision of its node the last onboarding failed, and why; null: it did not fail, or is none. */
  async failedOnboarding(node: NodeName): Promise<{ revision: number; why: string } | null> {
    const { workflow } = this.client;
    try {
      const run = workflow.getHandle(workflowId.onboard(node));
      const { status, runId, memo } = await this.#within(RPC_TIMEOUT_MS, () => run.describe());
      const revision = memo?.['revision'];
      if (status.name === 'RUNNING' || typeof revision !== 'number') return null;
      const ended = workflow.getHandle(workflowId.onboard(node), runId);
      return await this.#within(RPC_TIMEOUT_MS, () => ended.result()).then(
        () => null,
        (error: Error) => {
          if (!(error instanceof WorkflowFailedError)) throw error;
          return { revision, why: (error.cause ?? error).message };
        },
      );
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return null;
      throw error;
    }
  }

  /** Newest first. */
  async workflowsOf(node: NodeName, limit: number): Promise<WorkflowRun[]> {
    const list = this.client.workflow.list({ query: `AetherNode = '${node}'` });
    return this.#within(RPC_TIMEOUT_MS, () => runsOf(list, limit));
  }

  /** Nodes of removals that have not ended. */
  async nodesBeingRemoved(): Promise<NodeName[]> {
    const query = `WorkflowType = 'decommissionNode' AND ExecutionStatus = 'Running'`;
    const nodes: NodeName[] = [];
    await this.#within(RPC_TIMEOUT_MS, async () => {
      for await (const { searchAttributes } of this.client.workflow.list({ query })) {
        nodes.push(...((searchAttributes['AetherNode'] ?? []) as NodeName[]));
      }
    });
    return nodes;
  }

  /** Starts the scheduled audit now; one that is under way is not doubled. */
  async triggerAudit(): Promise<void> {
    const schedule = this.client.schedule.getHandle(AUDIT_SCHEDULE);
    await this.#within(RPC_TIMEOUT_MS, () => schedule.trigger('SKIP'));
  }

  /**
   * Loads a feed now, or joins who was asked to; null where it is still under way after `waitMs`. A run of
   * the Schedule has an id of its own (with its time) and may go on beside it; each writes under the
   * revisions that it began with.
   */
  async refreshBlocklist(name: string, waitMs: number): Promise<FeedOutcome | null> {
    const run = await this.#within(RPC_TIMEOUT_MS, () =>
      this.client.workflow.start('refreshBlocklist', {
        workflowId: workflowId.refreshBlocklist(name),
        taskQueue: WORKFLOW_QUEUE,
        workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
        staticSummary: `Load the feed of blocklist ${name}`,
        args: [{ blocklist: name }],
        workflowIdConflictPolicy: 'USE_EXISTING',
      }),
    );
    try {
      return (await this.#within(waitMs, () => run.result())) as FeedOutcome;
    } catch (error) {
      if (error instanceof WorkflowFailedError) throw error;
      return null;
    }
  }

  #signalRepair(facts: NodeFacts, signal: string, argument: DriftReport | RepairRecord) {
    return this.#within(RPC_TIMEOUT_MS, () =>
      this.client.workflow.signalWithStart('repairNode', {
        ...startOptions(workflowId.repair(facts.node), facts, `Repair ${facts.node}`),
        args: [{ node: facts.node }],
        signal,
        signalArgs: [argument],
      }),
    );
  }

  #start(
    type: 'onboardNode' | 'decommissionNode',
    id: string,
    facts: NodeFacts,
    input: NodeInput,
    workflowIdConflictPolicy: 'USE_EXISTING' | 'TERMINATE_EXISTING' | 'FAIL',
  ) {
    const verb = type === 'onboardNode' ? 'Onboard' : 'Decommission';
    return this.#within(RPC_TIMEOUT_MS, () =>
      this.client.workflow.start(type, {
        ...startOptions(id, facts, `${verb} ${facts.node}`),
        // For whoever asks later what it was for.
        memo: { revision: input.revision },
        args: [input],
        workflowIdConflictPolicy,
      }),
    );
  }

  #lifecycle<R>(facts: NodeFacts, update: string, argument: object): Promise<R> {
    const id = workflowId.lifecycle(facts.node);
    return this.#within(UPDATE_TIMEOUT_MS, () =>
      this.client.workflow.executeUpdateWithStart<Workflow, R, [object]>(update, {
        args: [argument],
        startWorkflowOperation: new WithStartWorkflowOperation('nodeLifecycle', {
          ...startOptions(id, facts, `Life of ${facts.node}`),
          args: [{ node: facts.node }],
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      }),
    );
  }

  #within<R>(timeoutMs: number, call: () => Promise<R>): Promise<R> {
    return this.client.withDeadline(Date.now() + timeoutMs, call);
  }
}

/** The first ones of a list, newest first. */
export async function runsOf(
  list: AsyncIterable<WorkflowExecutionInfo>,
  limit: number,
): Promise<WorkflowRun[]> {
  const runs: WorkflowRun[] = [];
  for await (const { workflowId: id, runId, type, status, startTime } of list) {
    runs.push({ id, runId, type, status: status.name, startedAtMs: startTime.getTime() });
    if (runs.length === limit) break;
  }
  return runs;
}

export const startOptions = (
  id: string,
  { node, region }: NodeFacts,
  staticSummary: string,
): StartOptions => runOptions(id, staticSummary, nodeAttributes(node, region));

export type StartOptions = Omit<WorkflowStartOptions, 'args'>;

/** Of every workflow. */
export function runOptions(
  id: string,
  staticSummary: string,
  typedSearchAttributes: SearchAttributePair[],
): StartOptions {
  return {
    workflowId: id,
    taskQueue: WORKFLOW_QUEUE,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    staticSummary,
    typedSearchAttributes,
  };
}

function nodeAttributes(node: NodeName, region: string | null): SearchAttributePair[] {
  const keyword = (name: string, value: string): SearchAttributePair => ({
    key: defineSearchAttributeKey(name, 'KEYWORD'),
    value,
  });
  return [
    keyword('AetherNode', node),
    ...(region === null ? [] : [keyword('AetherRegion', region)]),
  ];
}
