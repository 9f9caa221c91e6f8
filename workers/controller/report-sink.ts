/** Where the reports of edges go: to Temporal, which acknowledges them, and to those who look at routing. */
import type { NodeFacts, TemporalClient } from '../../adapters/temporal/client';
import { UNSENT_KEPT } from '../../core/edge/jobs';
import type { NodeName } from '../../core/model/ids';
import type { DriftReport, RepairRecord } from '../../core/model/messages';
import type { RoutingEvent } from '../../core/model/routing';
import type { ReportSink } from './edge-reports';
import type { Handoff } from './handoff';
import type { Lifecycles } from './lifecycles';
import type { RoutingSide } from './routing-side';

export interface ReportsDependencies {
  handoff: Handoff;
  temporal: () => Promise<Pick<TemporalClient, 'reportDrift' | 'reportAgentRepair'>>;
  facts: (node: NodeName) => NodeFacts;
  lifecycles: () => Pick<Lifecycles, 'retry'>;
  routing: () => Pick<RoutingSide, 'look' | 'heard'>;
}

interface Unsent {
  record: RepairRecord;
  done: () => void;
}

export class Reports implements ReportSink {
  readonly #deps: ReportsDependencies;
  /** By node and id, the oldest first: as many as an edge keeps. One of a node is under way, however many it sends. */
  readonly #records = new Map<NodeName, Map<string, Unsent>>();

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
    const records = this.#records.get(node) ?? new Map<string, Unsent>();
    this.#records.set(node, records);
    records.set(`${record.incidentId}/${record.atMs}`, { record, done });
    const [oldest] = records.keys();
    if (records.size > UNSENT_KEPT && oldest !== undefined) records.delete(oldest);
    this.#hand(node);
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

  #hand(node: NodeName): void {
    const { handoff, temporal, facts } = this.#deps;
    const [next] = this.#records.get(node) ?? [];
    if (next === undefined) {
      this.#records.delete(node);
      return;
    }
    const [id, { record, done }] = next;
    handoff.submit(`record/${node}`, {
      id,
      send: async () => (await temporal()).reportAgentRepair(facts(node), record),
      done: () => {
        this.#records.get(node)?.delete(id);
        done();
        // The job that ends now is still the one of its key: what is left follows behind it.
        setImmediate(() => this.#hand(node));
      },
    });
  }
}
