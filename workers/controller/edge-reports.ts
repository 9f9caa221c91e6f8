/** What edges report: read, noted, and handed on; what can't be read ends the stream. */
import { status as code } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { UpMessages } from '../../adapters/edge-stream/proto';
import type { EdgeSession } from '../../adapters/edge-stream/server';
import { type NodeName, workflowId } from '../../core/model/ids';
import type { DriftReport, RepairRecord } from '../../core/model/messages';
import { parseDriftReport, parseRepairRecord } from '../../core/model/reports';
import type { RoutingEvent } from '../../core/model/routing';
import { parseRoutingEvent, parseRoutingStatus } from '../../core/model/routing-reports';
import type { Parsed } from '../../core/model/values';
import type { EdgeFacts } from './edges';
import type { ControllerMetrics } from './metrics';

/** Where reports go; `done` is called once they are safe. */
export interface ReportSink {
  drift(report: DriftReport, done: () => void): void;
  record(node: NodeName, record: RepairRecord, done: () => void): void;
  connected(node: NodeName): void;
  disconnected(node: NodeName): void;
  /** `done` may be called several times, for what is safe so far. */
  routing(node: NodeName, events: readonly RoutingEvent[], done: (sequence: number) => void): void;
}

export interface EdgeReportsDependencies {
  sink: ReportSink;
  /** Its stream now: what it reported on a former one is acknowledged on this one. */
  session: (node: NodeName) => EdgeSession | null;
  metrics: ControllerMetrics;
  log: Logger;
}

export class EdgeReports {
  readonly #deps: EdgeReportsDependencies;

  constructor(dependencies: EdgeReportsDependencies) {
    this.#deps = dependencies;
  }

  drift(edge: EdgeFacts, session: EdgeSession, json: Uint8Array): void {
    const { metrics, log } = this.#deps;
    const { node } = session;
    const parsed = parseJson(json, parseDriftReport);
    if (!parsed.ok) return this.#malformed(session, parsed.reason);
    const report = parsed.value;
    if (report.node !== node) return this.#malformed(session, `it speaks for ${report.node}`);
    edge.report = report;
    edge.open = { incidentId: report.incidentId, findings: report.findings };
    metrics.driftReports.inc({ cause: report.cause });
    const findings = report.findings.map(({ kind, object }) => `${kind} ${object}`);
    const { incidentId, suspect } = report;
    const workflow = workflowId.repair(node);
    log.info({ node, workflow, incident: incidentId, findings, suspect }, 'drift');
    this.hand(report);
  }

  /** Also where it is open still: whichever time Temporal takes it, its edge is told. */
  hand(report: DriftReport): void {
    const { node, incidentId } = report;
    this.#deps.sink.drift(report, () => {
      this.#deps.session(node)?.send({ message: 'driftAck', driftAck: { incidentId } });
    });
  }

  applied(edge: EdgeFacts, { node }: EdgeSession, applied: UpMessages['applied']): void {
    edge.appliedHash = applied.hash;
    edge.open = null;
    edge.report = null;
    this.#deps.log.info({ node, ...applied }, 'applied');
  }

  refused(edge: EdgeFacts, { node }: EdgeSession, refused: UpMessages['specRefused']): void {
    // Of a former spec it says nothing any more.
    if (refused.revision === edge.sent.revision) edge.refused = refused.reason;
    this.#deps.metrics.specsRefused.inc();
    this.#deps.log.warn({ node, ...refused }, 'the edge refused its spec');
  }

  record(session: EdgeSession, json: Uint8Array): void {
    const { node } = session;
    const parsed = parseJson(json, parseRepairRecord);
    if (!parsed.ok) return this.#malformed(session, parsed.reason);
    const { incidentId, atMs } = parsed.value;
    const workflow = workflowId.repair(node);
    this.#deps.log.info({ node, workflow, incident: incidentId }, 'the agent repaired by itself');
    this.#deps.sink.record(node, parsed.value, () => {
      const recordAck = { incidentId, atMs };
      this.#deps.session(node)?.send({ message: 'recordAck', recordAck });
    });
  }

  routing(edge: EdgeFacts, session: EdgeSession, said: UpMessages['routing']): void {
    const { node } = session;
    const status = parseJson(said.statusJson, parseRoutingStatus);
    if (!status.ok) return this.#malformed(session, status.reason);
    const events: RoutingEvent[] = [];
    for (const json of said.eventsJson) {
      const event = parseJson(json, parseRoutingEvent);
      if (!event.ok) return this.#malformed(session, event.reason);
      events.push(event.value);
    }
    edge.routing = { status: status.value, heardAtMs: performance.now() };
    if (events.length > 0) this.#deps.log.info({ node, events }, 'routing');
    this.#deps.sink.routing(node, events, (sequence) => {
      this.#deps.session(node)?.send({ message: 'routingAck', routingAck: { sequence } });
    });
  }

  /** An edge that sends what can't be read, or speaks for another one, loses its stream. */
  #malformed(session: EdgeSession, reason: string): void {
    this.#deps.log.error({ node: session.node, reason }, 'a report was refused');
    this.#deps.metrics.reportsRefused.inc();
    session.close(code.INVALID_ARGUMENT, `the report is refused: ${reason}`);
  }
}

export function parseJson<T>(bytes: Uint8Array, parse: (json: unknown) => Parsed<T>): Parsed<T> {
  try {
    return parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    return { ok: false, reason: (error as Error).message };
  }
}
