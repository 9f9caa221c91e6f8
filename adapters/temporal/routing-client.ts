/** What a controller says to the workflows of routing, and asks of them. An id is a mutex, as everywhere. */
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { refusalIn } from '../../core/model/errors';
import { workflowId } from '../../core/model/ids';
import { messageNames } from '../../core/model/messages';
import type { RoutingEvent } from '../../core/model/routing';
import type {
  ByHand,
  DrainInput,
  FailoverEvidence,
  FailoverInput,
  QuarantineInput,
  RoutingEvents,
  RoutingProgress,
  ServiceDrainInput,
} from '../../core/model/routing-messages';
import type { RouteProgress } from '../../core/model/views';
import {
  type NodeFacts,
  runOptions,
  runsOf,
  startOptions,
  type StartOptions,
  type WorkflowRun,
} from './client';

const RPC_TIMEOUT_MS = 5_000;
/** A query waits for workflow code, which may have to be replayed first. */
const QUERY_TIMEOUT_MS = 10_000;

export interface Started {
  workflowId: string;
  runId: string;
}

export class RoutingClient {
  constructor(private readonly client: Client) {}

  /** Done once Temporal has them; an event that comes twice is told apart by its sequence. */
  async reportEvents(facts: NodeFacts, events: RoutingEvent[]): Promise<void> {
    const signal: RoutingEvents = { events };
    await this.#within(() =>
      this.client.workflow.signalWithStart('nodeLifecycle', {
        ...startOptions(workflowId.lifecycle(facts.node), facts, `Life of ${facts.node}`),
        args: [{ node: facts.node }],
        signal: messageNames.routingEvents,
        signalArgs: [signal],
      }),
    );
  }

  /**
   * A region that is well again is news only to a failover that is under way, or where one was cut off
   * and its commands are `left`.
   */
  async reportEvidence(
    service: string,
    evidence: FailoverEvidence,
    { by, left }: { by: string; left: boolean },
  ): Promise<void> {
    if (evidence.state === 'up' && !left) {
      await this.#signal(workflowId.failover(service), messageNames.evidence, evidence);
      return;
    }
    const input: FailoverInput = { service, evidence, by };
    await this.#within(() =>
      this.client.workflow.signalWithStart('bgpFailover', {
        ...serviceOptions(workflowId.failover(service), service, `Fail over ${service}`),
        args: [input],
        signal: messageNames.evidence,
        signalArgs: [evidence],
      }),
    );
  }

  /** Joins one that is under way. */
  drainNode(facts: NodeFacts, input: DrainInput): Promise<Started> {
    const verb = input.undo ? 'Undrain' : 'Drain';
    return this.#start('drainNode', input, {
      ...startOptions(workflowId.drain(facts.node), facts, `${verb} ${facts.node}`),
      workflowIdConflictPolicy: 'USE_EXISTING',
    });
  }

  drainService(input: ServiceDrainInput): Promise<Started> {
    const { service, undo } = input;
    const verb = undo ? 'Undrain' : 'Drain';
    return this.#start('drainService', input, {
      ...serviceOptions(workflowId.drainService(service), service, `${verb} ${service}`),
      workflowIdConflictPolicy: 'USE_EXISTING',
    });
  }

  /** Null where one is under way already, with its own evidence. */
  async failover(input: FailoverInput): Promise<Started | null> {
    const { service } = input;
    try {
      return await this.#start('bgpFailover', input, {
        ...serviceOptions(workflowId.failover(service), service, `Fail over ${service}`),
        workflowIdConflictPolicy: 'FAIL',
      });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
      throw error;
    }
  }

  /** One that is quarantined already stays so at least until `input.untilMs`. */
  async quarantine(facts: NodeFacts, input: QuarantineInput): Promise<Started> {
    const id = workflowId.quarantine(facts.node);
    const handle = await this.#within(() =>
      this.client.workflow.signalWithStart('quarantineNode', {
        ...startOptions(id, facts, `Quarantine ${facts.node}`),
        args: [input],
        signal: messageNames.penalty,
        signalArgs: [input],
      }),
    );
    return { workflowId: id, runId: handle.signaledRunId };
  }

  /** Null where it is not running. */
  byHand(
    id: string,
    signal: 'undrain' | 'release' | 'failBack',
    hand: ByHand,
  ): Promise<Started | null> {
    return this.#signal(id, messageNames[signal], hand);
  }

  /** Of the newest run; null where there was never such a workflow. */
  async progress(id: string): Promise<RouteProgress | null> {
    const handle = this.client.workflow.getHandle(id);
    try {
      const { status, runId: found } = await this.#within(() => handle.describe());
      const running = status.name === 'RUNNING';
      const [progress, ended] = await Promise.all([
        // A Worker may be away for a moment; the next look tells.
        this.client
          .withDeadline(Date.now() + QUERY_TIMEOUT_MS, () =>
            handle.query<RoutingProgress>(messageNames.progress),
          )
          .catch(() => null),
        running ? null : this.#outcome(id, found),
      ]);
      const { result = null, failure = null } = ended ?? {};
      return { workflowId: id, runId: found, status: status.name, progress, result, failure };
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return null;
      throw error;
    }
  }

  /** Newest first. */
  async workflowsOf(service: string, limit: number): Promise<WorkflowRun[]> {
    const list = this.client.workflow.list({ query: `AetherService = '${service}'` });
    return this.#within(() => runsOf(list, limit));
  }

  /** Of one that has ended. */
  async #outcome(id: string, runId: string): Promise<Pick<RouteProgress, 'result' | 'failure'>> {
    const handle = this.client.workflow.getHandle(id, runId);
    try {
      return { result: (await this.#within(() => handle.result())) ?? null, failure: null };
    } catch (error) {
      if (!(error instanceof WorkflowFailedError)) throw error;
      const refusal = refusalIn(error);
      const message = refusal?.message ?? (error.cause ?? error).message;
      return { result: null, failure: { code: refusal?.fact.code ?? null, message } };
    }
  }

  async #start(type: string, input: object, options: StartOptions) {
    const handle = await this.#within(() =>
      this.client.workflow.start(type, { ...options, args: [input] }),
    );
    return { workflowId: options.workflowId, runId: handle.firstExecutionRunId };
  }

  async #signal(id: string, signal: string, argument: object): Promise<Started | null> {
    const handle = this.client.workflow.getHandle(id);
    try {
      await this.#within(() => handle.signal(signal, argument));
      const { runId } = await this.#within(() => handle.describe());
      return { workflowId: id, runId };
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return null;
      throw error;
    }
  }

  #within<R>(call: () => Promise<R>): Promise<R> {
    return this.client.withDeadline(Date.now() + RPC_TIMEOUT_MS, call);
  }
}

const serviceOptions = (id: string, service: string, staticSummary: string): StartOptions =>
  runOptions(id, staticSummary, [
    { key: defineSearchAttributeKey('AetherService', 'KEYWORD'), value: service },
  ]);
