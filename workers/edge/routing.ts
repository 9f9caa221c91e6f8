/**
 * The agent's side of announcing (docs/notes/routing.md): proofs, probes, commands and overrides by hand go
 * into `core/announce`; what it decides goes to the bfd process as a lease four times a second, and at once
 * where a stance changes. Nothing here waits for a repair, a controller or gobgpd.
 */
import type { Up } from '../../adapters/edge-stream/proto';
import type { Logger } from '../../adapters/telemetry/logger';
import {
  attached,
  booted,
  crashOf,
  decide,
  EMPTY_ROUTING_MEMORY,
  forgetHealth,
  type RoutingMemory,
} from '../../core/announce/decide';
import { acknowledge, enqueue, type UnnumberedEvent } from '../../core/announce/events';
import type { HostEvidence } from '../../core/announce/host';
import { leaseOf } from '../../core/announce/lease';
import { overridden, type StanceOverride } from '../../core/announce/override';
import { probedAddresses, probeKey, type Judgement } from '../../core/announce/proof';
import { routingStatus, telling } from '../../core/announce/status';
import {
  heard,
  NO_TWINS,
  overdue,
  type SessionEvent,
  type Side,
  type Twins,
} from '../../core/announce/twins';
import type { Stance } from '../../core/model/anycast';
import type { Input } from '../../core/edge/types';
import type { EdgeSpec } from '../../core/model/edge-spec';
import type { EdgeFilters } from '../../core/model/messages';
import type { RoutingStatus } from '../../core/model/routing';
import type { BgpKeeper, BgpSessionEvent } from './bgp-keeper';
import { epochMs, monotonicMs, now } from '../clock';
import { BfdLink } from './routing-link';
import { ProofLook } from './routing-look';
import type { RoutingMetrics } from './routing-metrics';
import { Probes } from './routing-probes';
import { Teller } from './routing-tell';

const RENEW_MS = 250;

/** What keeps gobgpd's neighbours and policies. */
export type BgpWork = Pick<BgpKeeper, 'set' | 'views' | 'problem' | 'close'>;

export interface RoutingParts {
  bfdSocket: string;
  /** One for each run of the kernel. */
  bootId: string;
  graceMs: number;
  openBgp(changed: () => void, onSession: (event: BgpSessionEvent) => void): BgpWork;
  prove(spec: EdgeSpec): Promise<HostEvidence | null>;
  filters(): EdgeFilters;
  save(memory: RoutingMemory): void;
  send(message: Up): boolean;
  log: Logger;
  metrics: RoutingMetrics;
}

/** What runs only while there is something to announce or to watch. */
interface Running {
  link: BfdLink;
  bgp: BgpWork;
  look: ProofLook;
  probes: Probes;
  timer: NodeJS.Timeout;
}

export class Routing {
  private spec: EdgeSpec | null = null;
  private running: Running | null = null;
  private host: HostEvidence | null = null;
  private judged: Judgement[] = [];
  private saved = '';
  private isDue = false;
  private twins: Twins = NO_TWINS;
  /** Something is known since this process began, so a lease of ours may take the former one's place. */
  private knows = false;
  private readonly teller: Teller;

  constructor(
    private readonly parts: RoutingParts,
    private memory: RoutingMemory = EMPTY_ROUTING_MEMORY,
  ) {
    this.teller = new Teller(parts.send);
    this.memory = booted(memory, parts.bootId);
    this.happened(crashOf(this.memory, now()));
    this.memory = { ...this.memory, running: this.memory.active };
    // At once: should this one end before it has done anything, that is another crash.
    if (this.memory.active) this.write();
  }

  /** The accepted spec, from now on. */
  set(spec: EdgeSpec): void {
    this.spec = spec;
    const wanted = spec.bgp !== null || spec.bfdPeers.length > 0 || spec.services.length > 0;
    if (!wanted && !this.memory.active) return;
    this.memory = { ...this.memory, active: true, running: true };
    this.running ??= this.start();
    const { bgp, probes, look } = this.running;
    const keys = spec.services.flatMap((each) =>
      probedAddresses(each).map((address) => probeKey(each.name, address)),
    );
    this.memory = forgetHealth(this.memory, new Set(keys));
    probes.set(spec.services, this.memory.healthy);
    bgp.set(spec.bgp, exported(spec));
    look.poke();
    this.round();
  }

  /** The host changed. */
  put(_event: Extract<Input, { kind: 'hostEvent' }>): void {
    this.running?.look.poke();
  }

  /** To a controller. */
  connected(): void {
    this.teller.again();
    this.soon();
  }

  acknowledged(sequence: number): void {
    this.memory = { ...this.memory, outbox: acknowledge(this.memory.outbox, sequence) };
    this.teller.heard();
    this.soon();
  }

  /** By hand on this edge; `announce` takes back. */
  override(asked: {
    service: string | null;
    stance: Stance;
    reason: string;
    untilMs: number | null;
  }): void {
    const overrides = overridden(this.memory.overrides, asked, epochMs());
    this.memory = { ...this.memory, overrides };
    this.round();
  }

  get overrides(): readonly StanceOverride[] {
    return this.memory.overrides;
  }

  status(): RoutingStatus | undefined {
    if (this.running === null || this.spec === null) return undefined;
    const { link, bgp } = this.running;
    return routingStatus({
      nowMs: epochMs(),
      services: this.spec.services,
      judged: this.judged,
      standings: this.memory.standings,
      report: link.report,
      bfdProblem: link.problem,
      gobgpdProblem: bgp.problem(),
      neighbors: bgp.views(),
    });
  }

  /** Everything goes on as it is: the lease lasts, gobgpd and the bfd process are not told. */
  stop(): void {
    this.end();
    if (!this.memory.active) return;
    this.memory = { ...this.memory, running: false };
    this.parts.save(this.memory);
  }

  private start(): Running {
    const { parts } = this;
    const look = new ProofLook({
      // Who serves nothing has nothing to prove.
      prove: async () => (this.spec?.services.length ? parts.prove(this.spec) : null),
      found: (evidence) => {
        this.host = evidence;
        this.round();
      },
    });
    return {
      look,
      probes: new Probes({
        changed: () => this.round(),
        asked: (service, { why, tookMs }) => parts.metrics.asked(service, why === null, tookMs),
      }),
      bgp: parts.openBgp(
        () => this.soon(),
        (event) => {
          this.session('bgp', sessionEvent(event));
          this.soon();
        },
      ),
      link: new BfdLink({
        socket: parts.bfdSocket,
        told: ({ report, events }, isFirst) => {
          if (isFirst && !this.knows) this.memory = attached(this.memory, report, now());
          for (const event of events) {
            if (event.kind === 'bgpDown' || event.kind === 'bgpUp') this.session('bfd', event);
            else this.happened([event]);
          }
          // Whoever is attached anew goes by what was before, until it is told.
          if (isFirst) this.round();
          else this.soon();
        },
        lost: () => this.soon(),
      }),
      timer: setInterval(() => this.round(), RENEW_MS),
    };
  }

  private end(): void {
    if (this.running === null) return;
    const { link, bgp, look, probes, timer } = this.running;
    clearInterval(timer);
    look.stop();
    probes.stop();
    link.close();
    bgp.close();
    this.running = null;
  }

  private happened(events: readonly UnnumberedEvent[]): void {
    this.parts.metrics.happened(events);
    this.memory = { ...this.memory, outbox: enqueue(this.memory.outbox, events, epochMs()) };
  }

  /** The bfd process and gobgpd's keeper both tell of it. */
  private session(side: Side, event: SessionEvent): void {
    const { twins, events } = heard(this.twins, side, event, monotonicMs());
    this.twins = twins;
    this.happened(events);
  }

  /** Reports come in bursts, and what they change is no stance. */
  private soon(): void {
    if (this.isDue) return;
    this.isDue = true;
    setImmediate(() => {
      this.isDue = false;
      this.round();
    });
  }

  /** Decide, lease, tell, write down. */
  private round(): void {
    const { spec, running, parts } = this;
    if (spec === null || running === null) return;
    const alone = overdue(this.twins, monotonicMs());
    this.twins = alone.twins;
    if (alone.events.length > 0) this.happened(alone.events);
    const evidence = {
      host: this.host,
      probes: running.probes.states(),
      filters: emptyFilters(parts.filters()),
    };
    const before = this.memory;
    const decided = decide(before, spec.services, evidence, parts.graceMs, now());
    this.memory = decided.memory;
    this.judged = decided.judged;
    this.lease(spec, running);
    this.note(before);
    const status = this.status();
    if (status === undefined) return;
    this.teller.tell(status, telling(status), this.memory.outbox.unsent);
    parts.metrics.show(status, running.link.leasedAtMs);
    this.write();
    this.finish(spec, running);
  }

  /**
   * As long as this process knows nothing new, the lease of the one before it goes on, and its grace time
   * runs: ignorance is not renewed.
   */
  private lease({ bgp, bfdPeers, services }: EdgeSpec, { link }: Running): void {
    const { report } = link;
    if (report === null) return;
    this.knows ||= !this.isIgnorant() || !this.isAsBefore(report.paths);
    if (!this.knows) return;
    const { graceMs } = this.parts;
    link.lease(leaseOf({ bgp, bfdPeers, services, judged: this.judged, graceMs }));
  }

  private isIgnorant(): boolean {
    const known = Object.values(this.memory.known);
    return known.some(({ held, unknownSinceMs }) => held && unknownSinceMs !== null);
  }

  private isAsBefore(paths: readonly { prefix: string; stance: Stance }[]): boolean {
    const held = new Map(paths.map(({ prefix, stance }) => [prefix, stance]));
    return this.judged
      .flatMap((judgement) => judgement.paths)
      .every(({ prefix, stance }) => (held.get(prefix) ?? 'withdraw') === stance);
  }

  private note({ standings }: RoutingMemory): void {
    for (const { service, stance, why } of this.judged) {
      if ((standings[service]?.stance ?? 'withdraw') === stance) continue;
      this.parts.log.info({ service, stance, why }, 'a service stands otherwise');
    }
  }

  private write(): void {
    const text = JSON.stringify(this.memory);
    if (text === this.saved) return;
    this.saved = text;
    this.parts.save(this.memory);
  }

  /** A spec that asks for nothing any more, and nothing of ours is left anywhere. */
  private finish({ bgp, bfdPeers, services }: EdgeSpec, { link, bgp: work }: Running): void {
    if (bgp !== null || bfdPeers.length > 0 || services.length > 0) return;
    const { report } = link;
    const isGone =
      report?.paths.every(({ stance }) => stance === 'withdraw') === true &&
      report.sessions.length === 0 &&
      work.views().length === 0 &&
      work.problem() === null;
    if (!isGone) return;
    this.end();
    this.memory = { ...this.memory, active: false, running: false };
    this.write();
  }
}

const exported = ({ services }: EdgeSpec): string[] =>
  services.flatMap(({ prefixes }) => prefixes).sort();

/** One that goes on with its former contents still filters; one that could never be filled does not. */
const emptyFilters = ({ interfaces }: EdgeFilters): { interface: string; why: string }[] =>
  interfaces.flatMap(({ interface: name, held, problem }) =>
    held === null && problem !== null ? [{ interface: name, why: problem }] : [],
  );

const sessionEvent = ({ address, atMs, up, reason, cause }: BgpSessionEvent): SessionEvent =>
  up
    ? { kind: 'bgpUp', atMs, peer: address }
    : { kind: 'bgpDown', atMs, peer: address, reason, cause };
