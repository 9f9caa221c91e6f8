/** What has to be in a namespace before Aether's workflows run there. Each may be repeated. */
import { ScheduleAlreadyRunning, type ScheduleOptions } from '@temporalio/client';
import {
  AUDIT_SCHEDULE,
  SEARCH_ATTRIBUTES,
  WORKFLOW_QUEUE,
  workflowId,
} from '../../core/model/ids';
import type { TemporalLink } from './connection';

/** temporal.api.enums.v1.IndexedValueType. */
const KEYWORD = 2;

/** Registers what is missing. Temporal Cloud allows it only by its own console: then it throws. */
export async function ensureSearchAttributes(link: TemporalLink): Promise<void> {
  const { operatorService } = link.connection;
  const { namespace } = link;
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const missing = SEARCH_ATTRIBUTES.filter((name) => !(name in customAttributes));
  if (missing.length === 0) return;
  const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
  try {
    await operatorService.addSearchAttributes({ namespace, searchAttributes });
  } catch (error) {
    // Another controller was a moment faster.
    const again = await operatorService.listSearchAttributes({ namespace });
    if (missing.some((name) => !(name in again.customAttributes))) throw error;
  }
}

/**
 * The Schedule behind `auditNodes`. A run that is still under way is not doubled, and runs missed
 * while Temporal was down are not made up for: one audit sees all there is to see.
 */
export async function ensureAuditSchedule(link: TemporalLink, everyMs: number): Promise<void> {
  const definition = {
    spec: { intervals: [{ every: everyMs }] },
    action: {
      type: 'startWorkflow',
      workflowType: 'auditNodes',
      workflowId: workflowId.audit(),
      taskQueue: WORKFLOW_QUEUE,
      workflowTaskTimeout: '5s',
      staticSummary: 'Compare what each edge reports with what is wanted',
      args: [],
    },
    policies: { overlap: 'SKIP', catchupWindow: '1m' },
  } satisfies Omit<ScheduleOptions, 'scheduleId'>;
  try {
    await link.client.schedule.create({ ...definition, scheduleId: AUDIT_SCHEDULE });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const schedule = link.client.schedule.getHandle(AUDIT_SCHEDULE);
    await schedule.update(({ state }) => ({ ...definition, state }));
  }
}
