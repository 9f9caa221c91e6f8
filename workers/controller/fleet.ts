/**
 * All edges, wherever their streams are: what this controller knows by itself, and what the others tell. Every
 * controller answers by the same facts; what only an edge can say is asked through whoever has its stream.
 */
import { PeerAway } from '../../adapters/peer/client';
import { NoStream, type Question } from '../../adapters/peer/proto';
import type { FilterAnswer, FilterQuestion } from '../../core/filter/questions';
import { aged, type ToldFacts } from '../../core/model/edge-facts';
import type { NodeName } from '../../core/model/ids';
import type { EdgeStatus } from '../../core/model/messages';
import { parseEdgeStatus } from '../../core/model/reports';
import type { ServiceView } from '../../core/model/routing';
import type { CertificateView } from '../../core/model/views';
import type { EdgeFacts, Edges } from './edges';
import type { HeardFacts, Peers } from './peers';

/** What is known of an edge: ages, of the moment it was asked for, since clocks may step. Up is a stream at one that is heard. */
export interface EdgeView extends ToldFacts {
  /** The controller that has its stream, or had it last. */
  at: string;
  /** For how long the controller that has or had its stream is not heard; null: it is heard. */
  unheardForMs: number | null;
}

export interface FleetDependencies {
  /** Id of this controller. */
  self: string;
  edges: () => Edges;
  /** Null: there is nobody else. */
  peers: Peers | null;
  /** Who owns its shard, as etcd told last: the edge listens to nobody else. */
  ownerOf: (node: NodeName) => string | null;
}

/** Less than a call of the admin API may last, more than an edge takes to answer. */
const ASK_TIMEOUT_MS = 6_000;

export class Fleet {
  constructor(private readonly deps: FleetDependencies) {}

  /** Null: nobody who is heard has ever heard of it. */
  get(node: NodeName, nowMs = performance.now()): EdgeView | null {
    const { self, edges, peers, ownerOf } = this.deps;
    const local = edges().get(node);
    const views = (peers?.of(node) ?? []).map((heard) => ofHeard(heard, nowMs));
    if (local) views.push(ofLocal(self, local, nowMs));
    return views.length > 1 ? merged(views, ownerOf(node)) : (views[0] ?? null);
  }

  nodes(): NodeName[] {
    const { edges, peers } = this.deps;
    return [...new Set([...edges().nodes(), ...(peers?.nodes() ?? [])])];
  }

  connectedNodes(): NodeName[] {
    return this.nodes().filter((node) => this.get(node)?.connected);
  }

  /** Nodes by the addresses that their sessions have at their own end. */
  places(): ReadonlyMap<string, NodeName> {
    return new Map(
      this.nodes().flatMap((node) =>
        (this.get(node)?.routing?.status.neighbors ?? []).flatMap(
          ({ localAddress }): [string, NodeName][] =>
            localAddress === null ? [] : [[localAddress, node]],
        ),
      ),
    );
  }

  /** What that controller knows is known here. */
  hears(controller: string): boolean {
    const { self, peers } = this.deps;
    return controller === self || (peers?.heardSinceMs(controller) ?? null) !== null;
  }

  /** Of another controller; null: nobody knows. */
  certificatesOf(controller: string): CertificateView[] | null {
    return this.deps.peers?.certificatesOf(controller) ?? null;
  }

  /** Whoever would have its stream is not heard: nobody knows how it is now. */
  isUnheard(node: NodeName): boolean {
    const view = this.get(node);
    if (view?.connected) return false;
    return view?.unheardForMs != null || this.silentOwner(node) !== null;
  }

  /** Who owns its shard and is not heard here; null: nobody owns it, or who does is heard. */
  silentOwner(node: NodeName): string | null {
    const owner = this.deps.ownerOf(node);
    return owner === null || this.hears(owner) ? null : owner;
  }

  /** Some address that it sends from is known: paths can be told to be its own. */
  isPlaced(node: NodeName): boolean {
    const neighbors = this.get(node)?.routing?.status.neighbors ?? [];
    return neighbors.some(({ localAddress }) => localAddress !== null);
  }

  /** As far as its edge has said, and while it is connected. */
  announces(node: NodeName, service: string): boolean {
    return this.#service(node, service)?.announced === true;
  }

  /** Announces, but only as the last choice: its proof is lost. */
  announcesUnproven(node: NodeName, service: string): boolean {
    const view = this.#service(node, service);
    return view?.announced === true && view.proven === false;
  }

  /** Throws where the edge is not connected or does not answer. */
  async status(node: NodeName): Promise<EdgeStatus> {
    if (this.#isHere(node)) return this.deps.edges().status(node);
    const json = await this.#ask(node, { question: 'status', status: {} });
    const parsed = parseEdgeStatus(json);
    if (parsed.ok) return parsed.value;
    throw new Error(`edge ${node} sent a status that can't be read: ${parsed.reason}`);
  }

  /** Throws where the edge is not connected, does not answer, or answers that it can't. */
  async askFilter(node: NodeName, question: FilterQuestion): Promise<FilterAnswer> {
    if (this.#isHere(node)) return this.deps.edges().askFilter(node, question);
    const filterJson = Buffer.from(JSON.stringify(question));
    return (await this.#ask(node, { question: 'filterJson', filterJson })) as FilterAnswer;
  }

  /** Of several streams the one that counts. */
  #isHere(node: NodeName): boolean {
    const view = this.get(node);
    return view?.connected === true && view.at === this.deps.self;
  }

  async #ask(node: NodeName, question: Question): Promise<unknown> {
    const { peers } = this.deps;
    const view = this.get(node);
    if (view?.connected !== true || peers === null) {
      throw new PeerAway(`edge ${node} is not connected${unheardText(view)}`);
    }
    const answer = await peers.ask(view.at, node, question, ASK_TIMEOUT_MS);
    return JSON.parse(Buffer.from(answer).toString('utf8'));
  }

  #service(node: NodeName, service: string): ServiceView | undefined {
    const edge = this.get(node);
    if (!edge?.connected) return undefined;
    return edge.routing?.status.services.find((each) => each.service === service);
  }
}

const unheardText = (view: EdgeView | null): string =>
  view?.unheardForMs == null ? '' : `: controller ${view.at}, which had its stream, is not heard`;

/** What this controller tells the others of an edge of its own. */
export function toldFacts(edge: EdgeFacts, nowMs: number): ToldFacts {
  const { session, appliedHash, open, refused, routing } = edge;
  return {
    connected: session !== null,
    stream: edge.stream,
    connectedAgoMs: Math.max(0, nowMs - edge.connectedAtMs),
    seenAgoMs: session === null ? Math.max(0, nowMs - edge.lastSeenMs) : 0,
    appliedHash,
    open,
    refused,
    routing: routing && {
      status: routing.status,
      heardAgoMs: Math.max(0, nowMs - routing.heardAtMs),
    },
  };
}

/** Puts a question of another controller to an edge of ours. */
export async function askLocal(
  edges: Edges,
  node: NodeName,
  question: Question,
): Promise<Uint8Array> {
  if (!edges.get(node)?.session) throw new NoStream(`the stream of edge ${node} is not here`);
  if (question.question === 'status') return Buffer.from(JSON.stringify(await edges.status(node)));
  const asked = JSON.parse(Buffer.from(question.filterJson).toString('utf8')) as FilterQuestion;
  return Buffer.from(JSON.stringify(await edges.askFilter(node, asked)));
}

const ofLocal = (at: string, edge: EdgeFacts, nowMs: number): EdgeView => ({
  ...toldFacts(edge, nowMs),
  at,
  unheardForMs: null,
  seenAgoMs: nowMs - edge.lastSeenMs,
});

function ofHeard(
  { controller, told, toldAtMs, unheardSinceMs }: HeardFacts,
  nowMs: number,
): EdgeView {
  const { connected, seenAgoMs } = told;
  const laterMs = nowMs - toldAtMs;
  const unheardForMs = unheardSinceMs === null ? null : nowMs - unheardSinceMs;
  return {
    ...aged(told, laterMs),
    connected: connected && unheardForMs === null,
    at: controller,
    unheardForMs: connected ? unheardForMs : null,
    // While its stream is up it is seen all the time; nobody is told of that.
    seenAgoMs: connected ? (unheardForMs ?? 0) : seenAgoMs + laterMs,
  };
}

/** The stream that is up, of several its owner's, or the newest; else where it was seen last. What it said last, to whomever. */
function merged(views: readonly EdgeView[], owner: string | null): EdgeView {
  const up = views.filter(({ connected }) => connected);
  const best =
    up.length > 0
      ? (up.find(({ at }) => at === owner) ??
        up.reduce((a, b) => (b.connectedAgoMs < a.connectedAgoMs ? b : a)))
      : views.reduce((a, b) => (b.seenAgoMs < a.seenAgoMs ? b : a));
  // What it said on the stream that counts is its last word, even beside one whose clock stood still.
  if (best.connected && best.routing && best.routing.heardAgoMs <= best.connectedAgoMs) return best;
  const routing = views.reduce<EdgeView['routing']>((newest, { routing: said }) => {
    if (newest === null || said === null) return newest ?? said;
    return said.heardAgoMs < newest.heardAgoMs ? said : newest;
  }, null);
  return { ...best, routing };
}
