/**
 * Keeps gobgpd as the accepted spec says: started, its neighbours, what may enter and leave. By level:
 * every few seconds, at each event, and as soon as a gobgpd that was restarted answers. It writes no
 * path and holds no neighbour: that is the bfd process's (docs/notes/routing.md).
 */
import { RouteTable } from '../../adapters/native/route-table';
import type { Logger } from '../../adapters/telemetry/logger';
import { peerActions, peerConfig, type PeerAction } from '../../core/bgp/changes';
import { peerProblem } from '../../core/bgp/problems';
import type { BgpEvent, BgpPort, GlobalConfig, PeerConfig, PeerState } from '../../core/bgp/types';
import { BgpError } from '../../core/bgp/types';
import type { BgpSpec, NeighborSpec } from '../../core/model/bgp';
import type { NeighborView } from '../../core/model/routing';
import { BgpRoutes } from './bgp-routes';
import { BgpSessions, type BgpSessionEvent } from './bgp-sessions';
import { foreign, isOurs, sameGlobal, waitsForRestart } from './bgp-identity';
import { monotonicMs } from '../clock';
import { readSecret } from './secrets';

export type { BgpSessionEvent } from './bgp-sessions';

/** What this knows of a NeighborView; held and BFD are the bfd process's. */
export type BgpNeighborView = Omit<NeighborView, 'held' | 'bfd'>;

export interface BgpKeeperParts {
  port: BgpPort;
  secretsDirectory: string;
  log: Logger;
  /** Views or problem are others than before. */
  onChange(): void;
  onSession(event: BgpSessionEvent): void;
  /** Where `installRoutes` puts routes; default: the main table of this process's namespace. */
  openRouteTable?: (onHint: () => void) => Promise<RouteTable>;
  /** After a neighbour sent too much, until it is tried again: doubling. Default 1 to 15 minutes. */
  prefixLimitRetryMs?: { first: number; most: number };
}

const EVERY_MS = 3_000;
/** While gobgpd does not answer: configured anew within a second of its return. */
const RETRY_MS = 200;
/** gobgpd's silence may be a storm of routes; after that nothing is known of its sessions. */
const SILENCE_MS = 6_000;
/** An idle session is left to gobgpd for so long; then it is added anew, which dials at once. */
const IDLE_MS = 1_200;
/** One that has been down for long, or was never up, is dialled the less often: each 20th of that time, at most so. */
const IDLE_SHARE = 20;
const IDLE_MAX_MS = 10_000;
/** Lists the whole table. */
const COUNT_EVERY_MS = 15_000;
/** One that takes long is listed the less often. */
const COUNT_REST_FACTOR = 20;
const LIMIT_RETRY_MS = { first: 60_000, most: 900_000 };

export class BgpKeeper {
  private spec: BgpSpec | null = null;
  private exportPrefixes: string[] = [];
  private readonly sessions: BgpSessions;
  private readonly routes: BgpRoutes;
  /** Of an earlier spec, where there is none now: nothing is left. */
  private takenDown = false;
  private watch: { close(): void } | null = null;
  private downs: { close(): void } | null = null;
  private trouble: string | null = 'gobgpd was not asked yet';
  private silentSinceMs: number | null = null;
  /** Of neighbours, found in the turn before. */
  private ownProblems = new Map<string, string>();
  private readonly limits = new Map<string, { tries: number; nextMs: number }>();
  private accepted = new Map<string, number>();
  private countAtMs = 0;
  private isCounting = false;
  private isWithoutReasons = false;
  private timer: NodeJS.Timeout | null = null;
  private running = false;
  private dirty = false;
  private closed = false;
  private shown = '';

  constructor(private readonly parts: BgpKeeperParts) {
    this.sessions = new BgpSessions((event) => parts.onSession(event));
    const { port, log } = parts;
    const open = parts.openRouteTable ?? ((onHint: () => void) => RouteTable.open(null, onHint));
    this.routes = new BgpRoutes({ port, log, open, onChange: () => this.tellChange() });
  }

  /** Null: no BGP; what an earlier spec set up is taken down. */
  set(spec: BgpSpec | null, exportPrefixes: readonly string[]): void {
    this.spec = spec;
    this.takenDown = false;
    this.routes.set(spec?.installRoutes ?? false);
    this.exportPrefixes = [...exportPrefixes];
    this.poke();
  }

  /** In the order of the spec. */
  views(): BgpNeighborView[] {
    return (this.spec?.neighbors ?? []).map((neighbor) => this.view(neighbor));
  }

  /** What is wrong with gobgpd itself; null: it runs and is as wanted, or nothing of ours is left in it. */
  problem(): string | null {
    const { spec, takenDown } = this;
    const own = spec !== null ? this.trouble : takenDown ? null : 'BGP is being taken down';
    return own ?? this.routes.problem();
  }

  /** Nothing is taken down: gobgpd goes on. */
  close(): void {
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.unwatch();
    this.sessions.close();
    this.routes.close();
  }

  private view(neighbor: NeighborSpec): BgpNeighborView {
    const { address, asn } = neighbor;
    const session = this.sessions.get(address);
    const problem = this.ownProblems.get(address) ?? this.sessionProblem(address);
    return {
      address,
      asn,
      state: session?.state ?? 'unknown',
      localAddress: session?.state === 'established' ? (session.peer?.localAddress ?? null) : null,
      sinceMs: session?.changed.epochMs ?? 0,
      accepted: session?.state === 'established' ? (this.accepted.get(address) ?? 0) : 0,
      problem,
    };
  }

  private sessionProblem(address: string): string | null {
    const session = this.sessions.get(address);
    if (!session?.peer || session.state === 'established') return null;
    return peerProblem(
      { ...session.peer, state: session.state },
      monotonicMs() - session.changed.monotonicMs,
    );
  }

  // ---- The loop --------------------------------------------------------------------------------------

  private poke(): void {
    this.dirty = true;
    if (!this.running && !this.closed) void this.run();
  }

  private async run(): Promise<void> {
    this.running = true;
    while (this.dirty && !this.closed) {
      this.dirty = false;
      await this.turn();
    }
    this.running = false;
  }

  private async turn(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    let nextMs = EVERY_MS;
    try {
      this.trouble = await this.keep();
      this.silentSinceMs = null;
    } catch (error) {
      nextMs = this.failed(error);
    }
    this.tellChange();
    if (this.closed) return;
    const idleMs = this.spec === null ? null : this.nextIdleMs();
    this.timer = setTimeout(() => this.poke(), Math.min(nextMs, idleMs ?? nextMs));
  }

  private failed(error: unknown): number {
    const nowMs = monotonicMs();
    const failure = error instanceof BgpError ? error : null;
    if (failure === null) this.parts.log.error({ error }, 'keeping gobgpd failed');
    this.trouble =
      failure?.code === 'unreachable'
        ? `gobgpd does not answer (does aether-gobgpd run?): ${failure.message}`
        : `gobgpd: ${(error as Error).message}`;
    // It was restarted in the middle of a turn.
    if (failure?.code === 'notStarted') return RETRY_MS;
    if (failure?.code !== 'unreachable') return EVERY_MS;
    this.silentSinceMs ??= nowMs;
    if (nowMs - this.silentSinceMs > SILENCE_MS) {
      this.sessions.lose('gobgpd does not answer');
      // There is none; one that starts knows nothing.
      this.takenDown = this.spec === null;
    }
    return RETRY_MS;
  }

  private tellChange(): void {
    const shown = JSON.stringify([this.problem(), this.views()]);
    if (shown === this.shown) return;
    this.shown = shown;
    this.parts.onChange();
  }

  // ---- One turn --------------------------------------------------------------------------------------

  /** Null, or what is wrong with gobgpd as a whole. */
  private async keep(): Promise<string | null> {
    const { spec, exportPrefixes } = this;
    const { port } = this.parts;
    if (spec === null) return this.takeDown();
    const wanted: GlobalConfig = {
      asn: spec.asn,
      routerId: spec.routerId,
      listenPort: spec.listenPort,
    };
    const present = await port.global();
    if (present === null) await port.start(wanted);
    const same = present === null || sameGlobal(wanted, present);
    // One that is watched was ours when that began: whatever was done to it since is put back.
    const isKnown = present === null || this.watch !== null;
    if (!isKnown && !(await isOurs(port, spec, exportPrefixes, same))) {
      return foreign(wanted, present);
    }
    // Before any neighbour: gobgpd's own default lets all in and out.
    await port.setPolicies({ exportPrefixes, importPrefixes: spec.importPrefixes, held: null });
    await this.openWatch();
    await this.keepPeers(spec);
    return same ? null : waitsForRestart(wanted, present);
  }

  private async takeDown(): Promise<null> {
    const { port } = this.parts;
    this.unwatch();
    if ((await port.global()) !== null && (await port.isOurs())) {
      await port.setPolicies({ exportPrefixes: [], importPrefixes: [], held: null });
      for (const { config, state } of await port.peers()) {
        if (state === 'established') this.sessions.expect(config.address, 'no BGP is wanted');
        await port.deletePeer(config.address);
      }
    }
    this.sessions.list([]);
    this.takenDown = this.spec === null;
    return null;
  }

  private async keepPeers(spec: BgpSpec): Promise<void> {
    const { port } = this.parts;
    const problems = new Map<string, string>();
    const wanted: PeerConfig[] = [];
    const kept = new Set<string>();
    for (const neighbor of spec.neighbors) {
      const password = await this.passwordOf(neighbor, problems);
      if (password === null) kept.add(neighbor.address);
      else wanted.push(peerConfig(neighbor, password));
    }
    const peers = await port.peers();
    this.sessions.list(peers);
    const actions = peerActions(wanted, peers, kept);
    for (const action of actions) await this.act(action, problems);
    this.ownProblems = problems;
    const touched = new Set(actions.map(({ address }) => address));
    for (const peer of peers) await this.wake(peer, touched.has(peer.config.address));
    if (actions.length > 0) this.sessions.list(await port.peers());
    void this.count(peers);
  }

  private async passwordOf(
    { address, passwordRef }: NeighborSpec,
    problems: Map<string, string>,
  ): Promise<string | null> {
    if (passwordRef === null) return '';
    const secret = await readSecret(this.parts.secretsDirectory, passwordRef);
    if ('value' in secret) return secret.value;
    problems.set(address, secret.problem);
    return null;
  }

  private async act(action: PeerAction, problems: Map<string, string>): Promise<void> {
    const { port, log } = this.parts;
    log.info({ peer: action.address, resets: action.resets }, action.why);
    if (action.resets) this.sessions.expect(action.address, action.why);
    try {
      if (action.kind === 'add') await port.addPeer(action.config);
      else if (action.kind === 'update') await port.updatePeer(action.config);
      else await port.deletePeer(action.address);
    } catch (error) {
      // One that gobgpd does not take must not keep the others from it.
      if (!(error instanceof BgpError) || error.code !== 'refused') throw error;
      problems.set(action.address, `gobgpd refuses it: ${error.message}`);
    }
  }

  /** One that is down and does not try by itself, or not soon enough. */
  private async wake(peer: PeerState, touched: boolean): Promise<void> {
    const { address } = peer.config;
    const nowMs = monotonicMs();
    if (peer.prefixLimitExceeded) {
      if (this.mayTryAgain(address, nowMs) || touched) await this.parts.port.redialPeer(address);
      return;
    }
    // It is up before it has sent too much again.
    const sameForMs = nowMs - (this.sessions.get(address)?.changed.monotonicMs ?? nowMs);
    if (peer.state === 'established' && sameForMs > IDLE_MS * 10) this.limits.delete(address);
    const idleSinceMs = this.sessions.get(address)?.idleSinceMs ?? null;
    if (peer.state !== 'idle' || peer.adminDown || idleSinceMs === null) return;
    if (nowMs - idleSinceMs >= idleMs(sameForMs)) await this.parts.port.redialPeer(address);
  }

  private mayTryAgain(address: string, nowMs: number): boolean {
    const { first, most } = this.parts.prefixLimitRetryMs ?? LIMIT_RETRY_MS;
    const limit = this.limits.get(address) ?? { tries: 0, nextMs: nowMs + first };
    this.limits.set(address, limit);
    if (nowMs < limit.nextMs) return false;
    limit.tries += 1;
    limit.nextMs = nowMs + Math.min(most, first * 2 ** limit.tries);
    return true;
  }

  /** Until the first idle session is to be woken; null = there is none. */
  private nextIdleMs(): number | null {
    const nowMs = monotonicMs();
    let least: number | null = null;
    for (const { address } of this.spec?.neighbors ?? []) {
      const session = this.sessions.get(address);
      if (session?.idleSinceMs == null || session.peer?.adminDown) continue;
      const sameForMs = nowMs - session.changed.monotonicMs;
      const restMs = Math.max(RETRY_MS, session.idleSinceMs + idleMs(sameForMs) - nowMs);
      least = Math.min(least ?? restMs, restMs);
    }
    return least;
  }

  /** Beside everything else: a large table takes long, and says nothing of gobgpd or its sessions. */
  private async count(peers: readonly PeerState[]): Promise<void> {
    const nowMs = monotonicMs();
    if (this.isCounting || nowMs < this.countAtMs) return;
    // What sent nothing yet may do so at any moment.
    if (!peers.some(({ received }) => received > 0)) return this.accepted.clear();
    this.isCounting = true;
    try {
      this.accepted = await this.parts.port.accepted();
    } catch {
      // The number as it was is better than none.
    }
    const tookMs = monotonicMs() - nowMs;
    this.countAtMs = nowMs + Math.max(COUNT_EVERY_MS, COUNT_REST_FACTOR * tookMs);
    this.isCounting = false;
    this.tellChange();
  }

  // ---- Events ----------------------------------------------------------------------------------------

  private async openWatch(): Promise<void> {
    const { port } = this.parts;
    this.watch ??= port.watch({ peers: true, best: false }, (event) => this.take(event));
    const { watch } = this;
    this.downs ??= await this.openDowns();
    // It ended meanwhile, or we do.
    if (this.closed || this.watch !== watch) this.unwatch();
  }

  /** Null: reasons are not to be had; sessions matter more. */
  private async openDowns(): Promise<{ close(): void } | null> {
    try {
      return await this.parts.port.watchDowns((down) => this.sessions.down(down));
    } catch (error) {
      if (error instanceof BgpError && error.code !== 'refused') throw error;
      if (!this.isWithoutReasons) this.parts.log.warn({ error }, 'no reasons of sessions that go');
      this.isWithoutReasons = true;
      return null;
    }
  }

  private take(event: BgpEvent): void {
    if (event.kind === 'ended') {
      this.unwatch();
      this.sessions.lose('gobgpd ended');
      this.trouble = `gobgpd is gone: ${event.failure.message}`;
      this.tellChange();
      this.poke();
    } else if (event.kind === 'peer' && this.sessions.take(event)) {
      this.countAtMs = 0;
      this.tellChange();
      this.poke();
    }
  }

  private unwatch(): void {
    this.watch?.close();
    this.downs?.close();
    this.watch = null;
    this.downs = null;
  }
}

const idleMs = (downForMs: number): number =>
  Math.min(IDLE_MAX_MS, Math.max(IDLE_MS, downForMs / IDLE_SHARE));
