/**
 * What the other controllers know of edges, as they tell it. One that is not heard any more has told what it told:
 * its facts stay, with the time since when nobody has confirmed them.
 */
import type { Logger } from 'pino';
import { PeerAway, PeerLink } from '../../adapters/peer/client';
import type { NodeFacts, Question } from '../../adapters/peer/proto';
import type { Credentials } from '../../adapters/grpc/mtls';
import {
  aged,
  parseToldCertificates,
  parseToldFacts,
  type ToldFacts,
} from '../../core/model/edge-facts';
import type { NodeName } from '../../core/model/ids';
import type { ControllerValue, Parsed } from '../../core/model/values';
import type { CertificateView } from '../../core/model/views';

/** Facts of one edge, as one other controller told them. */
export interface HeardFacts {
  /** Of who told it. */
  controller: string;
  told: ToldFacts;
  /** When it was told, by our monotonic clock. What is an age in `told` is one of this moment. */
  toldAtMs: number;
  /** Null: who told it is heard, and still says so; else since when nobody does. */
  unheardSinceMs: number | null;
}

export interface PeersDependencies {
  /** Id of this controller. */
  self: string;
  tls: Credentials;
  /** Who is registered. */
  controllers: () => [id: string, ControllerValue][];
  /** Nobody wants this node any more: what was told of it is let go with its stream. */
  isGone: (node: NodeName) => boolean;
  /** Something is known anew: of an edge, or of a controller. */
  changed: () => void;
  log: Logger;
}

/** What one that is gone has told is of use for so long. */
const FORGET_AFTER_MS = 600_000;

interface Source {
  link: PeerLink | null;
  address: string;
  boot: string;
  /** Since when it is heard without a break, everything it knows included; null: it is not. */
  heardSinceMs: number | null;
  lostAtMs: number;
  facts: Map<NodeName, HeardFacts>;
  /** Null: it has not told, or is of a version that does not. */
  certificates: CertificateView[] | null;
  /** Of the snapshot under way: those told so far; null: there is none under way. */
  snapshot: Set<NodeName> | null;
}

export class Peers {
  readonly #deps: PeersDependencies;
  readonly #sources = new Map<string, Source>();
  /** Controllers that were told of as having no address. */
  readonly #silent = new Set<string>();

  constructor(dependencies: PeersDependencies) {
    this.#deps = dependencies;
  }

  /** Dials who is new, lets go of who is neither registered nor heard, and of nodes that are gone. Cheap where nothing has changed. */
  sync(nowMs = performance.now()): void {
    const { self, controllers, isGone } = this.#deps;
    const registered = new Map(controllers());
    for (const [id, { adminAddress }] of registered) {
      if (id === self) continue;
      if (adminAddress === null) {
        this.#tellSilent(id);
        continue;
      }
      const source = this.#sources.get(id) ?? this.#source(id, nowMs);
      if (source.link !== null && source.address === adminAddress) continue;
      source.link?.close();
      this.#lost(source);
      source.address = adminAddress;
      source.link = this.#dial(id, source);
    }
    for (const [id, source] of this.#sources) {
      for (const [node, { told, unheardSinceMs }] of source.facts) {
        const isUp = told.connected && unheardSinceMs === null;
        if (!isUp && isGone(node)) source.facts.delete(node);
      }
      if (registered.has(id) || source.heardSinceMs !== null) continue;
      source.link?.close();
      source.link = null;
      if (nowMs - source.lostAtMs > FORGET_AFTER_MS) this.#sources.delete(id);
    }
  }

  #tellSilent(id: string): void {
    if (this.#silent.has(id)) return;
    this.#silent.add(id);
    const what = 'a controller has no AETHER_ADMIN_LISTEN: nothing of its edges is known here';
    this.#deps.log.warn({ peer: id }, what);
  }

  close(): void {
    for (const { link } of this.#sources.values()) link?.close();
  }

  /** What the others say of it, of each of them one; in no order. */
  of(node: NodeName): HeardFacts[] {
    return [...this.#sources.values()].flatMap(({ facts }) => facts.get(node) ?? []);
  }

  /** Of whom any of them has said anything. */
  nodes(): NodeName[] {
    return [...new Set([...this.#sources.values()].flatMap(({ facts }) => [...facts.keys()]))];
  }

  /** Since when it is heard without a break; null: it is not, or not wholly yet. */
  heardSinceMs(controller: string): number | null {
    return this.#sources.get(controller)?.heardSinceMs ?? null;
  }

  /** As it holds them now; null: it is not heard, or does not say. */
  certificatesOf(controller: string): CertificateView[] | null {
    const source = this.#sources.get(controller);
    return source?.heardSinceMs == null ? null : source.certificates;
  }

  /** @throws {PeerAway} and whatever `PeerLink.ask` does */
  async ask(controller: string, node: NodeName, question: Question, timeoutMs: number) {
    const link = this.#sources.get(controller)?.link;
    if (!link) throw new PeerAway(`controller ${controller} is gone`);
    return link.ask(node, question, timeoutMs);
  }

  #source(id: string, nowMs: number): Source {
    const source: Source = {
      link: null,
      address: '',
      boot: '',
      heardSinceMs: null,
      lostAtMs: nowMs,
      facts: new Map(),
      certificates: null,
      snapshot: null,
    };
    this.#sources.set(id, source);
    return source;
  }

  #dial(id: string, source: Source): PeerLink {
    const { tls, log, changed } = this.#deps;
    let told = '';
    const link = new PeerLink(
      { controller: id, address: source.address, tls },
      {
        begins: (boot) => {
          source.boot = boot;
          source.certificates = null;
          source.snapshot = new Set();
        },
        facts: (facts) => {
          for (const each of facts) this.#take(id, source, each);
          changed();
        },
        certificates: (json) => {
          const parsed = parse(parseToldCertificates, json);
          source.certificates = parsed.ok ? parsed.value : null;
          if (!parsed.ok) {
            const { reason } = parsed;
            log.error({ peer: id, reason }, 'certificates that cannot be read');
          }
        },
        synced: () => {
          const nowMs = performance.now();
          // What it no longer knows, it knew in a former run.
          for (const [node, facts] of source.facts) {
            if (source.snapshot?.has(node)) facts.unheardSinceMs = null;
            else source.facts.set(node, endedAt(facts, facts.unheardSinceMs ?? source.lostAtMs));
          }
          source.snapshot = null;
          source.heardSinceMs = nowMs;
          told = '';
          const { address, boot, facts } = source;
          log.info({ peer: id, address, boot, edges: facts.size }, 'peer heard');
          changed();
        },
        lost: (why) => {
          // An outage is one line, and one more for each reason.
          if (why !== told) log.warn({ peer: id, address: source.address, why }, 'peer not heard');
          told = why;
          this.#lost(source);
        },
      },
    );
    link.start();
    return link;
  }

  /** What it said stands; from now on nobody says it. */
  #lost(source: Source): void {
    source.snapshot = null;
    if (source.heardSinceMs === null) return;
    const nowMs = performance.now();
    source.heardSinceMs = null;
    source.lostAtMs = nowMs;
    for (const facts of source.facts.values()) facts.unheardSinceMs ??= nowMs;
    this.#deps.changed();
  }

  #take(controller: string, source: Source, { node, factsJson }: NodeFacts): void {
    const parsed = parse(parseToldFacts, factsJson);
    if (!parsed.ok) {
      const { reason } = parsed;
      this.#deps.log.error({ peer: controller, node, reason }, 'facts that cannot be read');
      return;
    }
    source.snapshot?.add(node);
    const told = parsed.value;
    source.facts.set(node, { controller, told, toldAtMs: performance.now(), unheardSinceMs: null });
  }
}

/** Its stream ended with the run that told of it, and nobody is to be heard who would know more. */
function endedAt(facts: HeardFacts, atMs: number): HeardFacts {
  const { told, toldAtMs } = facts;
  if (!told.connected) return { ...facts, unheardSinceMs: atMs };
  const laterMs = Math.max(0, atMs - toldAtMs);
  return {
    ...facts,
    toldAtMs: toldAtMs + laterMs,
    unheardSinceMs: atMs,
    told: { ...aged(told, laterMs), connected: false, seenAgoMs: 0 },
  };
}

function parse<T>(as: (json: unknown) => Parsed<T>, json: Uint8Array): Parsed<T> {
  try {
    return as(JSON.parse(Buffer.from(json).toString('utf8')));
  } catch (error) {
    return { ok: false, reason: (error as Error).message };
  }
}
