/**
 * All of the bfd process: sessions first, since their peers wait for them; then the socket, gobgpd and the
 * metrics, whose libraries take longer to load than a detection time may last.
 */
import { join } from 'node:path';
import type { BfdServer } from '../../adapters/bfd/server';
import type { TimedEvent } from '../../adapters/bfd/proto';
import { type BfdPacer, native, type PacerEvent } from '../../adapters/native/native';
import {
  type HoldEffect,
  type HoldInput,
  holdDeadline,
  heldOf,
  NOBODY,
  stepHold,
} from '../../core/announce/hold';
import {
  expired,
  expiresMs,
  type LeaseState,
  NO_LEASE,
  renew,
  targets,
} from '../../core/announce/paths';
import type { BfdReport, Lease } from '../../core/announce/types';
import { diagnosticName, SIGNALED } from '../../core/bfd/packet';
import type { Session } from '../../core/bfd/types';
import type { BfdConfig } from '../config/bfd';
import { Alive, formerLife } from './alive';
import { epochMs, monotonicMs, toEpochMs } from '../clock';
import { EarlyLog } from './early-log';
import { type Memory, MemoryFile } from './files';
import type { BfdMetrics } from './metrics';
import { Sessions } from './sessions';
import type { Speaker } from './speaker';

/** The worst of a session is asked for as often, whether or not anybody looks. */
const SAMPLE_MS = 5_000;
/** Where no lease says how long its agent may be missing: as long as AETHER_LEASE_GRACE is by default. */
const ORPHAN_MS = 30_000;

export class BfdProcess {
  private readonly log = new EarlyLog();
  private readonly file: MemoryFile;
  private readonly pacer: BfdPacer;
  private readonly sessions: Sessions;
  private lease: LeaseState = NO_LEASE;
  private hold = NOBODY;
  private alive: Alive | null = null;
  private server: BfdServer | null = null;
  private speaker: Speaker | null = null;
  private metrics: BfdMetrics | null = null;
  private closeMetrics: () => Promise<void> = async () => undefined;
  /** Before anybody can be told. */
  private early: TimedEvent[] = [];
  private readonly bornMs = monotonicMs();
  /** The lease has expired, and that was told. */
  private missing = false;
  private wakeTimer: NodeJS.Timeout | null = null;
  private sampleTimer: NodeJS.Timeout | null = null;

  /** Throws where another process has the ports of BFD. */
  constructor(private readonly config: BfdConfig) {
    this.file = new MemoryFile(config.stateDirectory, this.log, () => this.memory());
    this.pacer = native.BfdPacer.open((events) => this.onPacer(events));
    this.sessions = new Sessions(this.pacer, {
      changed: ({ address, bgp }, { from, to, cause }, session) => {
        this.log.info({ peer: address, from, to, cause }, 'BFD session changed');
        // Whoever comes next must not begin anew what the peer takes for up.
        if (to === 'up') this.file.save('notWait');
        if (from === 'up') this.metrics?.downs.inc({ peer: address, cause });
        if (!bgp) return;
        this.hear({ kind: 'bfd', address, to, diagnostic: reasonOf(session), cause });
      },
      touched: () => this.touched(),
      late: (_, lateUs) => this.metrics?.lateSeconds.observe(lateUs / 1e6),
      dropped: (peer, why) => this.metrics?.dropped.inc({ peer: peer ?? '', why }),
      sendFailed: (peer, code) => this.log.warn({ peer, code }, 'packets can not be sent'),
    });
    const { held, code } = this.pacer.realtime;
    if (!held)
      this.log.warn({ code }, 'no real-time priority: a busy host may look like a dead path');
  }

  async start(): Promise<void> {
    this.remember();
    // Sessions run; from here on there is time.
    const { openLog, serveOutside } = await import('./outside');
    const log = openLog(this.config);
    this.log.open(log);
    const outside = await serveOutside(this.config, log, {
      leased: (lease) => this.leased(lease),
      report: () => this.report(),
      hear: (input) => this.hear(input),
      targets: () => targets(this.lease, monotonicMs()),
      isOrphan: () => this.isOrphan(),
      held: () => heldOf(this.hold),
      touched: () => this.touched(),
    });
    this.server = outside.server;
    this.speaker = outside.speaker;
    this.metrics = outside.metrics;
    this.closeMetrics = outside.closeMetrics;
    this.speaker.start();
    this.server.tell(this.early.splice(0));
    this.sampleTimer = setInterval(() => this.sessions.views(), SAMPLE_MS);
    this.wake();
    this.log.info(
      { socket: this.config.socket, realtime: this.pacer.realtime },
      'bfd process runs',
    );
  }

  /** Says goodbye to nobody: the next process goes on where this one ends. */
  async stop(): Promise<void> {
    if (this.wakeTimer !== null) clearTimeout(this.wakeTimer);
    if (this.sampleTimer !== null) clearInterval(this.sampleTimer);
    await this.server?.close();
    await this.speaker?.close();
    await this.closeMetrics();
    this.file.write();
    this.alive?.close();
    this.sessions.close();
  }

  private remember(): void {
    const path = join(this.config.stateDirectory, 'alive');
    const life = formerLife(path);
    const memory = this.file.load();
    if (life !== null) {
      this.lease = { lease: memory.lease, renewedMs: life.renewedMs };
      this.hold = { ...memory.hold, away: true };
      const awayMs = monotonicMs() - life.aliveMs;
      this.sessions.resume(memory.sessions, awayMs);
      this.log.info({ awayMs, sessions: memory.sessions.length }, 'goes on after a restart');
    }
    this.alive = new Alive(path, () => this.lease.renewedMs);
    this.alive.watch(this.sessions.count > 0);
    for (const { address, bfdUp, resetting } of Object.values(this.hold.neighbours)) {
      // Nobody waits for gobgpd's answer any more.
      if (resetting !== null) this.hear({ kind: 'resetDone', address, outcome: 'failed' });
      if (!bfdUp || this.sessions.isUp(address)) continue;
      // That is our doing, and says nothing about the path.
      const diagnostic = 'the bfd process was away for longer than the detection time';
      this.hear({ kind: 'bfd', address, to: 'down', diagnostic, cause: 'administrative' });
    }
  }

  private leased(lease: Lease | null): void {
    const before = this.lease;
    const wasExpired = expired(before, monotonicMs());
    this.missing = false;
    this.lease = renew(before, lease, monotonicMs());
    const same = lease === null || JSON.stringify(lease) === JSON.stringify(before.lease);
    if (!same) {
      const neighbours = lease.sessions.filter(({ bgp }) => bgp);
      this.hear({ kind: 'leased', neighbours });
      this.sessions.lease(lease.sessions);
      this.alive?.watch(this.sessions.count > 0);
    }
    if (same && !wasExpired) return this.wake();
    this.touched();
    this.speaker?.assert();
    this.wake();
  }

  private hear(input: HoldInput): void {
    const { state, effects } = stepHold(this.hold, input, monotonicMs());
    const changed = JSON.stringify(state) !== JSON.stringify(this.hold);
    this.hold = state;
    if (input.kind === 'resetDone') {
      this.metrics?.resets.inc({ peer: input.address, outcome: input.outcome });
    }
    const events = effects.flatMap((effect) => this.obey(effect));
    if (changed || events.length > 0) this.touched(events);
    this.wake();
  }

  private obey(effect: HoldEffect): TimedEvent[] {
    switch (effect.kind) {
      case 'reset': {
        const { address, communication } = effect;
        if (this.speaker !== null) this.speaker.reset(address, communication);
        else setImmediate(() => this.hear({ kind: 'resetDone', address, outcome: 'failed' }));
        return [];
      }
      case 'held':
        this.log.info({ held: effect.addresses }, 'held neighbours changed');
        this.speaker?.assert();
        return [];
      case 'event':
        this.log.info({ event: effect.event }, 'routing event');
        return [{ ...effect.event, atMs: epochMs() }];
    }
  }

  private touched(events: readonly TimedEvent[] = []): void {
    this.file.save('wait');
    if (this.server === null) this.early.push(...events);
    else this.server.tell(events);
  }

  private onPacer(events: PacerEvent[]): void {
    this.sessions.onEvents(events);
  }

  private report(): BfdReport {
    const away = this.speaker === null || this.hold.away;
    const { held, code } = this.pacer.realtime;
    return {
      atMs: epochMs(),
      realtime: {
        held,
        problem: held
          ? null
          : `no real-time priority (${code}): a busy host may look like a dead path`,
      },
      gobgpd: { problem: this.speaker?.problem ?? null },
      sessions: this.sessions.views(),
      peers: Object.values(this.hold.neighbours).map(({ address, bgp, held: hold }) => ({
        address,
        state: away ? 'unknown' : bgp,
        held: hold && {
          untilMs: hold.untilMs === null ? null : toEpochMs(hold.untilMs),
          why: hold.why,
        },
      })),
      paths: this.speaker?.paths ?? [],
      expired:
        this.isMissing() && this.isLeasedOrThere()
          ? { sinceMs: toEpochMs(this.missingMs()) }
          : null,
    };
  }

  /** Nobody has leased anything, and what the process before this one knew is lost. */
  private isOrphan(): boolean {
    return this.lease.lease === null && monotonicMs() >= this.missingMs();
  }

  /** When the agent counts as missing. */
  private missingMs(): number {
    return this.lease.lease === null ? this.bornMs + ORPHAN_MS : expiresMs(this.lease);
  }

  /** A host without routing misses nobody. */
  private isLeasedOrThere(): boolean {
    return this.lease.lease !== null || (this.speaker?.paths ?? []).length > 0;
  }

  private isMissing(): boolean {
    return monotonicMs() >= this.missingMs();
  }

  private memory(): Memory {
    const sessions = this.sessions.kept();
    return { schema: 1, lease: this.lease.lease, sessions, hold: this.hold };
  }

  /** By time: the end of the lease, the release of who is held. */
  private wake(): void {
    if (this.wakeTimer !== null) clearTimeout(this.wakeTimer);
    const now = monotonicMs();
    const ends = this.isMissing() ? Infinity : this.missingMs();
    const next = Math.min(ends, holdDeadline(this.hold));
    if (next === Infinity) return;
    // Node's timers end at 2^31 ms; looking once a minute costs nothing.
    this.wakeTimer = setTimeout(() => this.due(), Math.min(60_000, Math.max(0, next - now) + 1));
  }

  private due(): void {
    if (this.isMissing() && !this.missing) {
      this.missing = true;
      const sinceMs = toEpochMs(this.missingMs());
      if (this.isLeasedOrThere()) this.log.warn({ sinceMs }, 'the agent is missing');
      this.touched();
      this.speaker?.assert();
    }
    this.hear({ kind: 'tick' });
  }
}

/** Where the peer said down, its own reason says more. */
function reasonOf({ diagnostic, remote }: Session): string {
  const own = diagnosticName(diagnostic);
  return diagnostic === SIGNALED ? `${own} (${diagnosticName(remote.diagnostic)})` : own;
}
