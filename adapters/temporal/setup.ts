/** What has to be in a namespace before Aether's workflows run there. Each may be repeated. */
import { AUDIT_SCHEDULE, SEARCH_ATTRIBUTES, workflowId } from '../../core/model/ids';
import type { TemporalLink } from './connection';
import { ensureSchedule, everyInterval } from './schedules';

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

/** The Schedule behind `auditNodes`. */
export const ensureAuditSchedule = (link: TemporalLink, everyMs: number): Promise<void> =>
  ensureSchedule(
    link.client,
    AUDIT_SCHEDULE,
    everyInterval(everyMs, {
      workflowType: 'auditNodes',
      workflowId: workflowId.audit(),
      staticSummary: 'Compare what each edge reports with what is wanted',
      args: [],
    }),
  );
