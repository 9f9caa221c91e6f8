/** What Temporal holds of all that was done: counts of its histories, and what lives of nodes remember. */
import { Client, Connection } from '@temporalio/client';
import { workflowId } from '../../core/model/ids';
import { messageNames, type LifecycleState } from '../../core/model/messages';

const AT_ONCE = 16;

export interface Totals {
  workflows: number;
  historyEvents: number;
  /** Writes of the server: what its database and its price go by. */
  stateTransitions: number;
}

export class Ledger {
  private constructor(
    private readonly connection: Connection,
    private readonly client: Client,
  ) {}

  static async open(address: string): Promise<Ledger> {
    const connection = await Connection.connect({ address });
    return new Ledger(connection, new Client({ connection }));
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  async open(type: string): Promise<number> {
    const query = `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`;
    return (await this.client.workflow.count(query)).count;
  }

  /** Of all that the namespace knows. Of what still runs visibility does not count: it is asked one by one. */
  async totals(): Promise<Totals> {
    const sum: Totals = { workflows: 0, historyEvents: 0, stateTransitions: 0 };
    await inParallel(this.client.workflow.list(), async (listed) => {
      const isOpen = listed.status.name === 'RUNNING';
      const { workflowId: id, runId } = listed;
      const described = isOpen
        ? (await this.client.workflow.getHandle(id, runId).describe()).raw.workflowExecutionInfo
        : listed.raw;
      sum.workflows += 1;
      sum.historyEvents += Number(described?.historyLength ?? 0);
      sum.stateTransitions += Number(described?.stateTransitionCount ?? 0);
    });
    return sum;
  }

  /** Of these nodes, those whose life has a repair on record that began after `sinceMs`. */
  async recorded(nodes: readonly string[], sinceMs: number): Promise<Set<string>> {
    const found = new Set<string>();
    await inParallel(nodes, async (node) => {
      const life = this.client.workflow.getHandle(workflowId.lifecycle(node));
      const { repairs } = await life.query<LifecycleState>(messageNames.state);
      if (repairs.some(({ atMs }) => atMs >= sinceMs)) found.add(node);
    });
    return found;
  }

  /** Actions as Temporal counts them for its price, of one run. */
  async actionsOf(id: string): Promise<number> {
    const { events } = await this.client.workflow.getHandle(id).fetchHistory();
    const counted = (events ?? []).filter(
      (event) =>
        event.workflowExecutionStartedEventAttributes ??
        event.activityTaskScheduledEventAttributes ??
        event.timerStartedEventAttributes ??
        event.workflowExecutionSignaledEventAttributes ??
        event.signalExternalWorkflowExecutionInitiatedEventAttributes ??
        event.workflowExecutionUpdateAcceptedEventAttributes ??
        event.upsertWorkflowSearchAttributesEventAttributes ??
        event.markerRecordedEventAttributes,
    );
    return counted.length;
  }
}

export const minus = (after: Totals, before: Totals): Totals => ({
  workflows: after.workflows - before.workflows,
  historyEvents: after.historyEvents - before.historyEvents,
  stateTransitions: after.stateTransitions - before.stateTransitions,
});

async function inParallel<T>(
  all: AsyncIterable<T> | Iterable<T>,
  work: (one: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  for await (const one of all) {
    const done = work(one).finally(() => running.delete(done));
    running.add(done);
    if (running.size >= AT_ONCE) await Promise.race(running);
  }
  await Promise.all(running);
}
