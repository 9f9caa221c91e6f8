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

/** gRPC: PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED. */
const NOT_FOR_US: readonly unknown[] = [7, 12, 16];

/**
 * Registers what is missing. False where that is not for us to do (Temporal Cloud keeps its operator
 * API to itself): then whoever runs the namespace has to have done it.
 */
export async function ensureSearchAttributes(link: TemporalLink): Promise<boolean> {
  const { operatorService } = link.connection;
  const { namespace } = link;
  const missing = async (): Promise<string[]> => {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
    return SEARCH_ATTRIBUTES.filter((name) => !(name in customAttributes));
  };
  try {
    const names = await missing();
    if (names.length === 0) return true;
    const searchAttributes = Object.fromEntries(names.map((name) => [name, KEYWORD]));
    await operatorService.addSearchAttributes({ namespace, searchAttributes });
    return true;
  } catch (error) {
    if (NOT_FOR_US.includes((error as { code?: unknown }).code)) return false;
    // Another controller was a moment faster.
    if ((await missing()).length === 0) return true;
    throw error;
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
