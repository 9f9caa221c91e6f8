/** What a recorded history says. */
import type { History } from '@temporalio/common/lib/proto-utils';

/** temporal.api.enums.v1.EventType. */
export const EVENT = { WORKFLOW_TASK_COMPLETED: 7, ACTIVITY_TASK_SCHEDULED: 10 } as const;

/** Activity types in the order in which they were scheduled; local activities are not among them. */
export const activitiesOf = ({ events }: History): string[] =>
  (events ?? []).flatMap((event) => {
    const name = event.activityTaskScheduledEventAttributes?.activityType?.name;
    return name ? [name] : [];
  });
