/**
 * Repairs one node: drains reports, decides from them alone, sends the repair to the edge, waits a
 * little for more and completes. Its id is the mutex of the node. Nothing comes before the repair
 * activity, since people wait for it; whatever is told to others is told while it runs or later.
 */
import { continueAsNew, setHandler, workflowInfo } from '@temporalio/workflow';
import type { Approval, RepairInput } from '../core/model/messages';
import { checkRepairInput } from './input';
import { approve, drift, reconsider, repairedByAgent } from './messages';
import { RepairCase } from './repair-case';
import { RepairRun, type RepairSummary } from './repair-run';

const LINGER_MS = 30_000;

export async function repairNode(input: RepairInput): Promise<RepairSummary> {
  const { node, lingerMs = LINGER_MS, carried } = checkRepairInput(input);
  const open = new RepairCase(node, lingerMs, Date.now());
  const run = new RepairRun(node, open);
  for (const report of carried?.reports ?? []) open.drift(report);
  setHandler(drift, (report) => open.drift(report));
  setHandler(repairedByAgent, (record) => open.repairedByAgent(record));
  setHandler(reconsider, () => open.reconsider());
  setHandler(approve, (approval) => run.approve(approval), {
    validator: (a: Approval) => run.mayApprove(a),
  });

  for (;;) {
    const task = open.next(Date.now());
    if (task.do !== 'wait' && task.do !== 'done') {
      await run.perform(task);
      continue;
    }
    const moves = workflowInfo().continueAsNewSuggested;
    if (task.do === 'wait' && !moves) {
      await run.wait(task.ms);
      continue;
    }
    const quiet = await run.told();
    const reports = open.carry();
    if (moves && reports !== null) {
      await continueAsNew<typeof repairNode>({ ...input, carried: { reports } });
    }
    if (task.do === 'done' && quiet) return run.summary;
  }
}
