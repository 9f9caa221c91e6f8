/**
 * The edges as their streams show them: brings each the spec it shall have, level-triggered, and
 * hands on what they report. Who decides, and when, is not known here.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { ControllerAddress, Hello, Up } from '../../adapters/edge-stream/proto';
import type {
  ClusterHint,
  EdgeSession,
  EdgeStreamHandler,
  RefusedWhy,
} from '../../adapters/edge-stream/server';
import type { FilterAnswer, FilterQuestion } from '../../core/filter/questions';
import type { OwnerFence } from '../../core/model/edge-spec';
import { canonicalJson } from '../../core/model/hash';
import type { NodeName } from '../../core/model/ids';
import type { DriftReport, EdgeStatus } from '../../core/model/messages';
import { parseEdgeStatus } from '../../core/model/reports';
import type { RoutingStatus } from '../../core/model/routing';
import type { Finding } from '../../core/plan/types';
import { shardOf } from '../../core/ring/shard';
import type { Place } from '../../core/ring/types';
import { ChunkService } from './chunk-service';
import { DeltaService } from './delta-service';
import { type DesiredState, type Wanted, wantedOf } from './desired';
import { EdgeReports, parseJson, type ReportSink } from './edge-reports';
import type { ControllerMetrics } from './metrics';
import { Moves } from './moves';
import type { Shards } from './shards';
import type { Standing } from './standing';

/** What is known of an edge that said hello since this controller started. Times are of the monotonic clock. */
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
  /** As it said last; null: it has not said since this controller started. */
  routing: { status: RoutingStatus; heardAtMs: number } | null;
}

export interface EdgesDependencies {
  desired: DesiredState;
  shards: Shards;
  /** Which certificates are of use. */
  standing: Standing;
  /** Where the edges of a shard belong. */
  place: (shard: number) => Place;
  /** Live controllers, ourselves included. */
  controllers: () => readonly ControllerAddress[];
  sink: ReportSink;
  /** A piece of a blob; null where there is none. */
  chunk: (sha256: string) => Promise<Uint8Array | null>;
  /** Something of what `get` answers is otherwise now; `lastSeenMs` alone is not told. */
  changed: (node: NodeName) => void;
  /** An edge of this shard refused what we sent, and obeys this one. */
  fenced: (shard: number, heard: OwnerFence) => void;
  metrics: ControllerMetrics;
  log: Logger;
}

/** What one mTLS handshake costs the next controller, with room for what follows. */
const SPREAD_MS_PER_EDGE = 5;
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
  readonly #deltas: DeltaService;
  readonly #moves: Moves;
  readonly #reports: EdgeReports;
  readonly #learning = new Set<EdgeSession>();
  #hint: ClusterHint = { controllers: [], spreadMs: 0 };

  constructor(dependencies: EdgesDependencies) {
    const { desired, chunk, metrics, sink, log } = dependencies;
    this.#deps = dependencies;
    const session = (node: NodeName) => this.#known.get(node)?.session ?? null;
    this.#reports = new EdgeReports({ sink, session, metrics, log });
    const lists = {
      chunk,
      spec: ({ node }: EdgeSession) => desired.of(node).spec,
      served: (bytes: number) => metrics.chunkBytes.inc(bytes),
    };
    this.#chunks = new ChunkService(lists);
    this.#deltas = new DeltaService(lists);
    this.#moves = new Moves({
      place: dependencies.place,
      fence: (shard) => dependencies.shards.fence(shard),
      lost: (node) => this.lostOf(node),
      owned: (session) => {
        this.push(session.node);
        void this.#learn(session);
      },
      metrics,
      log,
    });
    dependencies.standing.onChange((node) => this.#dismiss(node));
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
    // Of nodes that are others' nothing is compiled here.
    if (!edge?.session || !shards.holds(shardOf(node))) return;
    const wanted = wantedOf(desired.of(node));
    if (wanted === null || same(edge.sent, wanted)) return;
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

  /** Sends it again, whatever was sent before; and hands on again what is open. */
  resend(node: NodeName): void {
    const edge = this.#known.get(node);
    if (!edge) return;
    edge.sent = { revision: 0, hash: '' };
    this.push(node);
    if (edge.report) this.#reports.hand(edge.report);
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

  // ---- Who owns them ------------------------------------------------------------------------------

  /**
   * The map, our keys, or who is there may have changed: edges of other controllers are sent there, and those that are
   * ours now hear it. Without `shards`: of all. Repeating it is harmless.
   */
  look(shards?: Iterable<number>): void {
    this.#moves.look(shards);
    if (shards !== undefined) return;
    const nodes = this.connectedNodes();
    const controllers = this.#deps.controllers();
    this.#hint = { controllers, spreadMs: SPREAD_MS_PER_EDGE * nodes.length };
    this.#moves.tell(controllers);
    this.#gauge(nodes);
  }

  /** Nodes of these, once their streams have ended. */
  forget(isGone: (node: NodeName) => boolean): void {
    for (const [node, { session }] of this.#known) {
      if (session === null && isGone(node)) this.#known.delete(node);
    }
  }

  /** The connected edges of the shard have said that they are where they were sent, or 2 s are over. */
  movedAway(shard: number): Promise<void> {
    return this.#moves.movedAway(shard);
  }

  /** For every welcome and heartbeat. */
  hint(): ClusterHint {
    return this.#hint;
  }

  /** Ours once, and nobody's as far as we know: we are cut off, or etcd is. */
  lostOf(node: NodeName): boolean {
    const { shards, place } = this.#deps;
    const shard = shardOf(node);
    const was = shards.fence(shard) !== null && !shards.holds(shard);
    return was && place(shard).kind !== 'elsewhere';
  }

  #gauge(nodes: readonly NodeName[]): void {
    const { metrics, shards } = this.#deps;
    const owned = nodes.filter((node) => shards.holds(shardOf(node))).length;
    metrics.streams.set({ kind: 'owner' }, owned);
    metrics.streams.set({ kind: 'guest' }, nodes.length - owned);
  }

  // ---- What the stream server calls -----------------------------------------------------------

  fenceOf(node: NodeName): OwnerFence | null {
    return this.#deps.shards.fence(shardOf(node));
  }

  barred(node: NodeName, issuedAtMs: number): string | null {
    return this.#deps.standing.bar(node, issuedAtMs)?.why ?? null;
  }

  connected(session: EdgeSession, hello: Hello): void {
    const { node } = session;
    const { log, sink, standing } = this.#deps;
    standing.shown(node, session.issuedAtMs, 'stream');
    const former = this.#known.get(node);
    if (former?.session) this.#left(former.session);
    else this.#deps.metrics.connectedEdges.inc();
    this.#known.set(node, {
      session,
      stream: randomUUID(),
      connectedAtMs: session.connectedAtMs,
      hello,
      appliedHash: hello.appliedHash,
      open: former?.open ?? null,
      report: former?.report ?? null,
      refused: null,
      lastSeenMs: performance.now(),
      sent: { revision: hello.acceptedRevision, hash: hello.acceptedHash },
      routing: former?.routing ?? null,
    });
    log.info({ node, ...hello }, 'edge connected');
    if (former && hello.incarnation < former.hello.incarnation) {
      log.warn({ node }, 'an older incarnation connected: two agents with one certificate?');
    }
    this.#deps.changed(node);
    this.#moves.connected(session);
    this.push(node);
    sink.connected(node);
    void this.#learn(session);
    // What it was let in by may be of no use since.
    setImmediate(() => this.#dismiss(node));
  }

  /**
   * Ends its stream where that was opened with a certificate that is of no use any more. A stream that is older than a
   * renewal goes on: its edge has not opened another one.
   */
  #dismiss(node: NodeName): void {
    const session = this.#known.get(node)?.session;
    const bar = session && this.#deps.standing.bar(node, session.issuedAtMs);
    if (!session || !bar) return;
    if (bar.kind === 'older' && !this.#deps.standing.isOutdated(node, session.issuedAtMs)) return;
    session.close(status.PERMISSION_DENIED, bar.why);
  }

  #left(session: EdgeSession): void {
    this.#chunks.ended(session);
    this.#moves.ended(session);
  }

  /**
   * What ended or was decided while it was away, or before this controller started. Asked until it
   * is known: an edge does not hear what comes without a fence, and that may take as long as etcd.
   */
  async #learn(session: EdgeSession): Promise<void> {
    if (this.#learning.has(session)) return;
    this.#learning.add(session);
    await this.#askUntilKnown(session).finally(() => this.#learning.delete(session));
  }

  async #askUntilKnown(session: EdgeSession): Promise<void> {
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
      const { incident, findings, accepted, appliedHash } = status;
      // It may have said so to its former owner alone, since it said hello to us.
      edge.appliedHash = appliedHash ?? '';
      if (accepted && accepted.revision > edge.sent.revision) edge.sent = accepted;
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
    edge.lastSeenMs = performance.now();
    if (!SAYS_NOTHING.has(message.message)) this.#deps.changed(node);
    switch (message.message) {
      case 'drift':
        return this.#reports.drift(edge, session, message.drift.reportJson);
      case 'repairEnded':
        return this.#reports.record(session, message.repairEnded.recordJson);
      case 'applied':
        return this.#reports.applied(edge, session, message.applied);
      case 'specRefused':
        return this.#reports.refused(edge, session, message.specRefused);
      case 'chunkRequest':
        return this.#chunks.request(session, message.chunkRequest.sha256);
      case 'routing':
        return this.#reports.routing(edge, session, message.routing);
      case 'deltaRequest':
        return void this.#deltas.request(session, message.deltaRequest);
      case 'moved':
        return this.#moves.moved(session, message.moved.controller);
      case 'fenced':
        return this.#fenced(node, message.fenced.fence);
      default:
    }
  }

  drained(session: EdgeSession): void {
    this.#deps.metrics.resyncs.inc();
    this.#moves.drained(session);
    this.push(session.node);
    this.#chunks.drained(session);
  }

  refused(why: RefusedWhy): void {
    this.#deps.metrics.streamsRefused.inc({ why });
  }

  disconnected(session: EdgeSession, why: string): void {
    this.#left(session);
    const edge = this.#known.get(session.node);
    if (edge?.session === session) {
      edge.session = null;
      this.#deps.metrics.connectedEdges.dec();
      edge.lastSeenMs = performance.now();
      this.#deps.changed(session.node);
    }
    this.#deps.log.info({ node: session.node, why }, 'edge disconnected');
    this.#deps.sink.disconnected(session.node);
  }

  /** It refused what we sent: somebody owns its shard since. */
  #fenced(node: NodeName, heard: OwnerFence | null): void {
    this.#deps.metrics.fenced.inc();
    this.#deps.log.warn({ node, ours: this.fenceOf(node), heard }, 'an edge obeys a newer owner');
    if (heard !== null) this.#deps.fenced(shardOf(node), heard);
  }
}

const same = (sent: EdgeFacts['sent'], { spec, hash }: NonNullable<Wanted>): boolean =>
  sent.revision === spec.revision && sent.hash === hash;
