/** Where the reports of edges go: to Temporal, which acknowledges them, and to those who look at routing. */
import type { NodeFacts, TemporalClient } from '../../adapters/temporal/client';
import type { NodeName } from '../../core/model/ids';
import type { DriftReport, RepairRecord } from '../../core/model/messages';
import type { RoutingEvent } from '../../core/model/routing';
import type { ReportSink } from './edge-reports';
import type { Handoff } from './handoff';
import type { Lifecycles } from './lifecycles';
import type { RoutingSide } from './routing-side';

export interface ReportsDependencies {
  handoff: Handoff;
  temporal: () => Promise<TemporalClient>;
  facts: (node: NodeName) => NodeFacts;
  lifecycles: () => Lifecycles;
  routing: () => RoutingSide;
}

export class Reports implements ReportSink {
  readonly #deps: ReportsDependencies;

  constructor(dependencies: ReportsDependencies) {
    this.#deps = dependencies;
  }

  drift(report: DriftReport, done: () => void): void {
    const { handoff, temporal, facts } = this.#deps;
    const { node, incidentId, planHash, revision } = report;
    handoff.submit(`drift/${node}`, {
      id: `${incidentId}/${planHash}/${revision}`,
      send: async () => (await temporal()).reportDrift(facts(node), report),
      done,
    });
  }

  record(node: NodeName, record: RepairRecord, done: () => void): void {
    const { handoff, temporal, facts } = this.#deps;
    const id = `${record.incidentId}/${record.atMs}`;
    handoff.submit(`record/${node}/${id}`, {
      id,
      send: async () => (await temporal()).reportAgentRepair(facts(node), record),
      done,
    });
  }

  connected(node: NodeName): void {
    this.#deps.lifecycles().retry(node);
    this.#deps.routing().look();
  }

  disconnected(): void {
    this.#deps.routing().look();
  }

  routing(node: NodeName, events: readonly RoutingEvent[], done: (sequence: number) => void): void {
    this.#deps.routing().heard(node, events, done);
  }
}
