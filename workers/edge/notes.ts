/** What the machine notes, as log lines and metrics. */
import type { Logger } from '../../adapters/telemetry/logger';
import type { Note } from '../../core/edge/types';
import type { EdgeMetrics } from './metrics';

export function tell(note: Note, log: Logger, metrics: EdgeMetrics): void {
  switch (note.what) {
    case 'specAccepted': {
      const { revision, hash, phase, fence } = note;
      return log.info({ revision, hash, phase, fence }, 'spec accepted');
    }
    case 'staleFence':
      return log.warn({ heard: note.heard, held: note.held }, 'a former owner was not heard');
    case 'incidentOpened': {
      const { incident, findings, suspect } = note;
      return log.warn({ incident, findings, suspect }, 'the host differs from its spec');
    }
    case 'incidentClosed':
      return log.info({ incident: note.incident, openMs: note.openMs }, 'no difference is left');
    case 'autonomy':
      return log.info(
        { incident: note.incident, decision: note.decision },
        'nobody decided in time, so the agent did',
      );
    case 'refused':
      return log.info({ incident: note.incident, reason: note.reason }, 'a job was refused');
    case 'repaired':
      return repaired(note, log, metrics);
  }
}

function repaired(
  { record, result }: Extract<Note, { what: 'repaired' }>,
  log: Logger,
  metrics: EdgeMetrics,
): void {
  const { incidentId: incident, outcome, by, repairedInMs } = record;
  for (const { kind } of result.found) metrics.repairs.inc({ class: kind, outcome, by });
  if (repairedInMs !== null && outcome === 'converged') {
    metrics.repairSeconds.observe({
      labels: { by },
      value: repairedInMs / 1000,
      exemplarLabels: { incident_id: incident },
    });
  }
  const { applied, reason } = result;
  log.info({ incident, outcome, by, applied, reason, repairedInMs }, 'a repair ended');
}
