/**
 * The edges as their streams show them: brings each the spec it shall have, level-triggered, and
 * hands on what they report. Who decides, and when, is not known here.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { status as code } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { Hello, Up, UpMessages } from '../../adapters/edge-stream/proto';
import type { EdgeSession, EdgeStreamHandler } from '../../adapters/edge-stream/server';
import type { FilterAnswer, FilterQuestion } from '../../core/filter/questions';
import type { OwnerFence } from '../../core/model/edge-spec';
import { canonicalJson } from '../../core/model/hash';
import { type NodeName, workflowId } from '../../core/model/ids';
import type { DriftReport, EdgeStatus, RepairRecord } from '../../core/model/messages';
import { parseDriftReport, parseEdgeStatus, parseRepairRecord } from '../../core/model/reports';
import type { RoutingEvent, RoutingStatus } from '../../core/model/routing';
import { parseRoutingEvent, parseRoutingStatus } from '../../core/model/routing-reports';
import type { Parsed } from '../../core/model/values';
import type { Finding } from '../../core/plan/types';
import { shardOf } from '../../core/ring/shard';
import { ChunkService } from './chunk-service';
import { type Wanted, wantedOf } from './desired';
import type { DesiredState } from './desired';
import type { ControllerMetrics } from './metrics';
import type { Shards } from './shards';

/** What is known of an edge that said hello since this controller started. */
export interface EdgeFacts {
  /** Null while it is not connected. */
  session: EdgeSession | null;
  /** Name of the present stream, or of the last one, and since when it is. */
  stream: string;
  connectedAtMs: number;
  hello: Hello;
  /** Hash of the spec that its host was last verified to be; '' = never. */
  appliedHash: string;
  /** What was found on it and is not known to be over. */
  open: { incidentId: string; findings: Finding[] } | null;
  /** The last report of what is open; null where it was sent to a former run of this controller. */
  report: DriftReport | null;
  /** Why it refused the last spec it was sent. */
  refused: string | null;
  lastSeenMs: number;
  /** What it was sent, or had accepted when it connected. */
  sent: { revision: number; hash: string };
  /** As it said last, `heardAtMs` by our clock; null: it has not said since this controller started. */
  routing: { status: RoutingStatus; heardAtMs: number } | null;
}

/** Where reports go; `done` is called once they are safe. */
export interface ReportSink {
  drift(report: DriftReport, done: () => void): void;
  record(node: NodeName, record: RepairRecord, done: () => void): void;
  connected(node: NodeName): void;
  disconnected(node: NodeName): void;
  /** `done` may be called several times, for what is safe so far. */
  routing(node: NodeName, events: readonly RoutingEvent[], done: (sequence: number) => void): void;
}

export interface EdgesDependencies {
  desired: DesiredState;
  shards: Shards;
  sink: ReportSink;
  /** A piece of a blob; null where there is none. */
  chunk: (sha256: string) => Promise<Uint8Array | null>;
  /** Something of what `get` answers is otherwise now; `lastSeenMs` alone is not told. */
  changed: (node: NodeName) => void;
  metrics: ControllerMetrics;
  log: Logger;
}

const STATUS_TIMEOUT_MS = 2_000;
const LEARN_RETRY_MS = 1_000;
/** Longer than an edge takes to gather counters from all its filters. */
const FILTER_TIMEOUT_MS = 5_000;
/** Messages after which the same is known of an edge as before. */
const SAYS_NOTHING: ReadonlySet<Up['message']> = new Set(['heartbeat', 'chunkRequest']);

export class Edges implements EdgeStreamHandler {
  readonly #known = new Map<NodeName, EdgeFacts>();
  readonly #deps: EdgesDependencies;
  readonly #chunks: ChunkService;

  constructor(dependencies: EdgesDependencies) {
    const { desired, chunk, metrics } = dependencies;
    this.#deps = dependencies;
    this.#chunks = new ChunkService({
      chunk,
      spec: ({ node }) => desired.of(node).spec,
      served: (bytes) => metrics.chunkBytes.inc(bytes),
    });
  }

  get(node: NodeName): EdgeFacts | null {
    return this.#known.get(node) ?? null;
  }

  /** Of whom anything is known here. */
  nodes(): NodeName[] {
    return [...this.#known.keys()];
  }

  connectedNodes(): NodeName[] {
    return [...this.#known].filter(([, edge]) => edge.session !== null).map(([node]) => node);
  }

  /** Sends the wanted spec where it is not the one that was sent last. */
  push(node: NodeName): void {
    const edge = this.#known.get(node);
    const { desired, shards, metrics, log } = this.#deps;
    const wanted = wantedOf(desired.of(node));
    if (!edge?.session || wanted === null || !shards.holds(shardOf(node))) return;
    if (same(edge.sent, wanted)) return;
    const { spec, hash } = wanted;
    const { revision } = spec;
    const specJson = Buffer.from(canonicalJson(spec));
    if (!edge.session.send({ message: 'spec', spec: { revision, hash, specJson } })) return;
    edge.sent = { revision, hash };
    edge.refused = null;
    this.#deps.changed(node);
    metrics.specPushes.inc();
    log.info({ node, revision, hash, phase: spec.phase }, 'spec sent');
  }

  /** Sends it again, whatever was sent before. */
  resend(node: NodeName): void {
    const edge = this.#known.get(node);
    if (edge) edge.sent = { revision: 0, hash: '' };
    this.push(node);
  }

  /** Throws where the edge is not connected or does not answer. */
  async status(node: NodeName): Promise<EdgeStatus> {
    const session = this.#known.get(node)?.session;
    if (!session) throw new Error(`edge ${node} is not connected`);
    const parsed = parseJson(await session.requestStatus(STATUS_TIMEOUT_MS), parseEdgeStatus);
    if (!parsed.ok)
      throw new Error(`edge ${node} sent a status that can't be read: ${parsed.reason}`);
    return parsed.value;
  }

  /** Throws where the edge is not connected, does not answer, or answers that it can't. */
  async askFilter(node: NodeName, question: FilterQuestion): Promise<FilterAnswer> {
    const session = this.#known.get(node)?.session;
    if (!session) throw new Error(`edge ${node} is not connected`);
    const asked = Buffer.from(JSON.stringify(question));
    const answer = await session.askFilter(asked, FILTER_TIMEOUT_MS);
    return JSON.parse(Buffer.from(answer).toString('utf8')) as FilterAnswer;
  }

  // ---- What the stream server calls -----------------------------------------------------------

  fenceOf(node: NodeName): OwnerFence | null {
    return this.#deps.shards.fence(shardOf(node));
  }

  connected(session: EdgeSession, hello: Hello): void {
    const { node } = session;
    const { metrics, log, sink } = this.#deps;
    const former = this.#known.get(node);
    if (former?.session) this.#chunks.ended(former.session);
    this.#known.set(node, {
      session,
      stream: randomUUID(),
      connectedAtMs: session.connectedAtMs,
      hello,
      appliedHash: hello.appliedHash,
      open: former?.open ?? null,
      report: former?.report ?? null,
      refused: null,
      lastSeenMs: Date.now(),
      sent: { revision: hello.acceptedRevision, hash: hello.acceptedHash },
      routing: former?.routing ?? null,
    });
    metrics.connectedEdges.set(this.connectedNodes().length);
    log.info({ node, ...hello }, 'edge connected');
    if (former && hello.incarnation < former.hello.incarnation) {
      log.warn({ node }, 'an older incarnation connected: two agents with one certificate?');
    }
    this.#deps.changed(node);
    this.push(node);
    sink.connected(node);
    void this.#learn(session);
  }

  /**
   * What ended or was decided while it was away, or before this controller started. Asked until it
   * is known: an edge does not hear what comes without a fence, and that may take as long as etcd.
   */
  async #learn(session: EdgeSession): Promise<void> {
    const { node } = session;
    while (this.#known.get(node)?.session === session) {
      const mayAsk = this.fenceOf(node) !== null;
      const status = mayAsk ? await this.status(node).catch(() => null) : null;
      const edge = this.#known.get(node);
      if (edge?.session !== session) return;
      if (status === null) {
        await sleep(LEARN_RETRY_MS, undefined, { ref: false });
        continue;
      }
      const { incident, findings } = status;
      edge.open = incident === null ? null : { incidentId: incident, findings };
      if (edge.report?.incidentId !== incident) edge.report = null;
      this.#deps.changed(node);
      return;
    }
  }

  message(session: EdgeSession, message: Up): void {
    const { node } = session;
    const edge = this.#known.get(node);
    if (edge?.session !== session) return;
    edge.lastSeenMs = Date.now();
    if (!SAYS_NOTHING.has(message.message)) this.#deps.changed(node);
    switch (message.message) {
      case 'drift':
        return this.#drift(edge, session, message.drift.reportJson);
      case 'repairEnded':
        return this.#record(session, message.repairEnded.recordJson);
      case 'applied':
        edge.appliedHash = message.applied.hash;
        edge.open = null;
        edge.report = null;
        this.#deps.log.info({ node, ...message.applied }, 'applied');
        return;
      case 'specRefused':
        edge.refused = message.specRefused.reason;
        this.#deps.metrics.specsRefused.inc();
        this.#deps.log.warn({ node, ...message.specRefused }, 'the edge refused its spec');
        return;
      case 'chunkRequest':
        return this.#chunks.request(session, message.chunkRequest.sha256);
      case 'routing':
        return this.#routing(edge, session, message.routing);
      default:
    }
  }

  drained(session: EdgeSession): void {
    this.push(session.node);
    this.#chunks.drained(session);
  }

  disconnected(session: EdgeSession, why: string): void {
    this.#chunks.ended(session);
    const edge = this.#known.get(session.node);
    if (edge?.session === session) {
      edge.session = null;
      edge.lastSeenMs = Date.now();
      this.#deps.changed(session.node);
    }
    this.#deps.metrics.connectedEdges.set(this.connectedNodes().length);
    this.#deps.log.info({ node: session.node, why }, 'edge disconnected');
    this.#deps.sink.disconnected(session.node);
  }

  #drift(edge: EdgeFacts, session: EdgeSession, json: Uint8Array): void {
    const { metrics, log, sink } = this.#deps;
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
    sink.drift(report, () => {
      this.#known.get(node)?.session?.send({ message: 'driftAck', driftAck: { incidentId } });
    });
  }

  #record(session: EdgeSession, json: Uint8Array): void {
    const { node } = session;
    const parsed = parseJson(json, parseRepairRecord);
    if (!parsed.ok) return this.#malformed(session, parsed.reason);
    const { incidentId, atMs } = parsed.value;
    const workflow = workflowId.repair(node);
    this.#deps.log.info({ node, workflow, incident: incidentId }, 'the agent repaired by itself');
    this.#deps.sink.record(node, parsed.value, () => {
      const recordAck = { incidentId, atMs };
      this.#known.get(node)?.session?.send({ message: 'recordAck', recordAck });
    });
  }

  #routing(edge: EdgeFacts, session: EdgeSession, said: UpMessages['routing']): void {
    const { node } = session;
    const status = parseJson(said.statusJson, parseRoutingStatus);
    if (!status.ok) return this.#malformed(session, status.reason);
    const events: RoutingEvent[] = [];
    for (const json of said.eventsJson) {
      const event = parseJson(json, parseRoutingEvent);
      if (!event.ok) return this.#malformed(session, event.reason);
      events.push(event.value);
    }
    edge.routing = { status: status.value, heardAtMs: Date.now() };
    if (events.length > 0) this.#deps.log.info({ node, events }, 'routing');
    this.#deps.sink.routing(node, events, (sequence) => {
      this.#known.get(node)?.session?.send({ message: 'routingAck', routingAck: { sequence } });
    });
  }

  /** An edge that sends what can't be read, or speaks for another one, loses its stream. */
  #malformed(session: EdgeSession, reason: string): void {
    this.#deps.log.error({ node: session.node, reason }, 'a report was refused');
    this.#deps.metrics.reportsRefused.inc();
    session.close(code.INVALID_ARGUMENT, `the report is refused: ${reason}`);
  }
}

const same = (sent: EdgeFacts['sent'], { spec, hash }: NonNullable<Wanted>): boolean =>
  sent.revision === spec.revision && sent.hash === hash;

function parseJson<T>(bytes: Uint8Array, parse: (json: unknown) => Parsed<T>): Parsed<T> {
  try {
    return parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    return { ok: false, reason: (error as Error).message };
  }
}
