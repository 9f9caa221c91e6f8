/** Drives the sessions of the lease: machine (core/bfd) above, pacer thread below. */
import { randomInt } from 'node:crypto';
import type { BfdPacer, PacerEvent } from '../../adapters/native/native';
import type { LeasedSession } from '../../core/announce/types';
import { reflectorDiscriminator } from '../../core/bfd/discriminator';
import { deadline, step } from '../../core/bfd/machine';
import { diagnosticName } from '../../core/bfd/packet';
import { initialSession } from '../../core/bfd/session';
import { detectedAfterUs, detectUs, transmitUs } from '../../core/bfd/timers';
import type { Effect, Input, Session, SessionConfig } from '../../core/bfd/types';
import type { BfdSessionView } from '../../core/model/routing';
import { epochMs, monotonicMs } from '../clock';
import type { KeptSession } from './files';
import { WatchedSession } from './watched';

/** A session that is over says so as often, since a packet may get lost, and then is gone. */
const FAREWELLS = 3;
const FAREWELL_MS = 50;
/** After a restart: how often it is looked whether sessions are heard again. */
const LISTEN_MS = 50;

type Changed = Extract<Effect, { kind: 'changed' }>;

export interface SessionHooks {
  changed(leased: LeasedSession, effect: Changed, session: Session): void;
  /** Something else that people see, or that a restart has to know. */
  touched(): void;
  /** How late an expiry was told. */
  late(peer: string, lateUs: number): void;
  dropped(peer: string | null, why: string): void;
  sendFailed(peer: string, code: string | null): void;
}

interface Running extends KeptSession {
  watched: WatchedSession;
}

export class Sessions {
  private readonly running = new Map<string, Running>();
  private readonly leaving = new Map<string, { discriminator: number; timer: NodeJS.Timeout }>();
  private timer: NodeJS.Timeout | null = null;
  private listenTimer: NodeJS.Timeout | null = null;

  constructor(
    private readonly pacer: BfdPacer,
    private readonly hooks: SessionHooks,
  ) {}

  /**
   * Those of the process before, `awayMs` after its end: where no peer can have noticed, a session goes on as
   * it was; else it begins anew, under its discriminator. One that has heard nothing for a detection time,
   * over however many restarts, has expired: each gives it a new deadline, and a path may be dead meanwhile.
   */
  resume(kept: readonly KeptSession[], awayMs: number): void {
    const nowMs = monotonicMs();
    for (const { leased, session, sinceMs, downs, ...rest } of kept) {
      const unnoticed = awayMs * 1000 <= detectedAfterUs(session);
      const resumed = unnoticed ? session : initialSession(session.config);
      const since = resumed.state === session.state ? sinceMs : epochMs();
      const unheardMs = resumed.state === 'up' ? (rest.unheardMs ?? nowMs) : null;
      const running = this.start(leased, {
        leased,
        session: resumed,
        sinceMs: since,
        downs,
        unheardMs,
      });
      if (unheardMs !== null && (nowMs - unheardMs) * 1000 > detectUs(resumed)) {
        this.step(running, { kind: 'expired' });
      }
    }
    this.hooks.touched();
    this.listen();
  }

  /** Until each of them was heard again. */
  private listen(): void {
    let waiting = 0;
    for (const running of this.running.values()) {
      if (running.unheardMs == null) continue;
      const isHeard = running.watched.read(monotonicMs()).received > 0;
      if (!isHeard && running.session.state === 'up') waiting++;
      if (!isHeard) continue;
      running.unheardMs = null;
      this.hooks.touched();
    }
    if (waiting > 0) this.listenTimer = setTimeout(() => this.listen(), LISTEN_MS);
  }

  /** The whole of what shall be; others end as administratively down. */
  lease(wanted: readonly LeasedSession[]): void {
    const keys = new Set(wanted.map(keyOf));
    for (const key of [...this.running.keys()].filter((running) => !keys.has(running))) {
      this.leave(key);
    }
    for (const leased of wanted) {
      const running = this.running.get(keyOf(leased));
      if (running === undefined) this.begin(leased);
      else this.configure(running, leased);
    }
  }

  onEvents(events: readonly PacerEvent[]): void {
    const byDiscriminator = new Map(
      [...this.running.values()].map((running) => [running.session.config.discriminator, running]),
    );
    for (const event of events) {
      const running = byDiscriminator.get(event.discriminator);
      if (running === undefined) {
        if (event.kind === 'packet') this.hooks.dropped(null, 'no such session');
        continue;
      }
      this.take(running, event);
    }
  }

  /** None: nobody counts how long this process is away. */
  get count(): number {
    return this.running.size;
  }

  kept(): KeptSession[] {
    return [...this.running.values()].map(
      ({ leased, session, sinceMs, downs, unheardMs = null }) => ({
        leased,
        session,
        sinceMs,
        downs,
        unheardMs,
      }),
    );
  }

  views(): BfdSessionView[] {
    return [...this.running.values()].map(viewOf);
  }

  isUp(address: string): boolean {
    return [...this.running.values()].some(
      ({ leased, session }) => leased.bgp && leased.address === address && session.state === 'up',
    );
  }

  /** No farewell: the next process goes on where this one ends. */
  close(): void {
    for (const timer of [this.timer, this.listenTimer]) if (timer !== null) clearTimeout(timer);
    for (const { timer } of this.leaving.values()) clearInterval(timer);
    this.pacer.close();
  }

  private begin(leased: LeasedSession): void {
    const leaving = this.leaving.get(keyOf(leased));
    if (leaving !== undefined) this.left(keyOf(leased), leaving);
    try {
      const config = { discriminator: this.newDiscriminator(), ...timersOf(leased) };
      const session = initialSession({ ...config, ...reflectorOf(leased) });
      this.start(leased, { leased, session, sinceMs: epochMs(), downs: 0 });
    } catch (error) {
      // No address at all: the others must not suffer.
      this.running.delete(keyOf(leased));
      this.hooks.sendFailed(leased.address, String(error));
    }
    this.hooks.touched();
  }

  private start(leased: LeasedSession, kept: KeptSession): Running {
    const { discriminator } = kept.session.config;
    const running = { ...kept, watched: new WatchedSession(this.pacer, discriminator) };
    this.running.set(keyOf(leased), running);
    this.step(running, { kind: 'started' });
    return running;
  }

  private configure(running: Running, leased: LeasedSession): void {
    if (JSON.stringify(running.leased) === JSON.stringify(leased)) return;
    running.leased = leased;
    this.step(running, { kind: 'configured', config: timersOf(leased) });
    this.hooks.touched();
  }

  private leave(key: string): void {
    const running = this.running.get(key);
    if (running === undefined) return;
    this.step(running, { kind: 'administered', down: true });
    this.running.delete(key);
    const { discriminator } = running.session.config;
    const { effects } = step(running.session, { kind: 'started' }, monotonicMs());
    const pace = effects.find((effect) => effect.kind === 'pace');
    const packet = pace?.kind === 'pace' ? pace.pace.packet : null;
    let said = 1;
    const timer = setInterval(() => {
      if (packet !== null && said < FAREWELLS) this.send(discriminator, packet);
      if (++said > FAREWELLS) this.left(key, { discriminator, timer });
    }, FAREWELL_MS);
    this.leaving.set(key, { discriminator, timer });
    this.hooks.touched();
  }

  private left(
    key: string,
    { discriminator, timer }: { discriminator: number; timer: NodeJS.Timeout },
  ): void {
    clearInterval(timer);
    this.leaving.delete(key);
    this.pacer.remove(discriminator);
  }

  private take(running: Running, event: PacerEvent): void {
    switch (event.kind) {
      case 'packet':
        return this.step(running, { kind: 'received', bytes: event.packet });
      case 'expired':
        this.hooks.late(running.leased.address, event.lateUs);
        return this.step(running, { kind: 'expired' });
      case 'sendFailed':
        return this.hooks.sendFailed(running.leased.address, event.code);
    }
  }

  private step(running: Running, input: Input): void {
    const before = running.session;
    const { session, effects } = step(before, input, monotonicMs());
    running.session = session;
    for (const effect of effects) this.obey(running, effect);
    if (visible(before) !== visible(session)) this.hooks.touched();
    this.wake();
  }

  private obey(running: Running, effect: Effect): void {
    const { leased } = running;
    switch (effect.kind) {
      case 'pace': {
        const { address: remote, local, multihop, mode } = leased;
        const seamless = mode === 'seamless';
        return this.pacer.set({ ...effect.pace, remote, local, multihop, seamless });
      }
      case 'send':
        return this.send(running.session.config.discriminator, effect.packet);
      case 'changed':
        running.sinceMs = epochMs();
        if (effect.from === 'up') running.downs += 1;
        return this.hooks.changed(leased, effect, running.session);
      case 'dropped':
        running.watched.refused += 1;
        return this.hooks.dropped(leased.address, effect.why);
    }
  }

  /** What can't be sent the thread tells as sendFailed. */
  private send(discriminator: number, packet: Uint8Array): void {
    this.pacer.send(discriminator, packet);
  }

  private wake(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    const next = Math.min(...[...this.running.values()].map(({ session }) => deadline(session)));
    if (next === Infinity) return;
    this.timer = setTimeout(() => this.tick(), Math.max(0, next - monotonicMs()) + 1);
  }

  private tick(): void {
    for (const running of this.running.values()) {
      if (deadline(running.session) <= monotonicMs()) this.step(running, { kind: 'tick' });
    }
    this.wake();
  }

  private newDiscriminator(): number {
    const taken = new Set([
      ...[...this.running.values()].map(({ session }) => session.config.discriminator),
      ...[...this.leaving.values()].map(({ discriminator }) => discriminator),
    ]);
    for (;;) {
      const discriminator = randomInt(1, 2 ** 32);
      if (!taken.has(discriminator)) return discriminator;
    }
  }
}

/** Changing one of these is another session; all else is changed in place. */
const keyOf = ({ address, multihop, local, mode }: LeasedSession): string =>
  `${address} ${multihop} ${local} ${mode}`;

const timersOf = ({
  intervalMs,
  multiplier,
}: LeasedSession): Omit<SessionConfig, 'discriminator' | 'reflector'> => ({
  desiredMinTxUs: intervalMs * 1000,
  requiredMinRxUs: intervalMs * 1000,
  multiplier,
});

/** TypeError: no address. */
const reflectorOf = ({ address, mode }: LeasedSession): Pick<SessionConfig, 'reflector'> =>
  mode === 'seamless' ? { reflector: reflectorDiscriminator(address) } : {};

/** A packet that only repeats itself is nothing that anybody has to be told. */
const visible = (session: Session): string => JSON.stringify({ ...session, poll: null });

function viewOf({ leased, session, sinceMs, downs, watched }: Running): BfdSessionView {
  const { sent, received, dropped, lateMaxMs, gapMaxMs } = watched.read(monotonicMs());
  const { remote, config } = session;
  return {
    peer: leased.address,
    multihop: leased.multihop,
    local: leased.local,
    ...(leased.mode === undefined ? {} : { mode: leased.mode }),
    state: session.state,
    remoteState: remote.state,
    sinceMs,
    diagnostic: diagnosticName(session.diagnostic),
    remoteDiagnostic: diagnosticName(remote.diagnostic),
    localDiscriminator: config.discriminator,
    remoteDiscriminator: remote.discriminator,
    transmitIntervalMs: transmitUs(session) / 1000,
    detectTimeMs: detectUs(session) / 1000,
    remoteMultiplier: remote.multiplier,
    refused: session.refused?.why ?? null,
    packets: { sent, received, dropped },
    downs,
    lateMaxMs,
    gapMaxMs,
  };
}
