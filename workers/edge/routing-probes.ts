/** Asks the services of a spec whether they are healthy, as often as each wants, a bounded number at once. */
import { askProbe, type Question } from '../../adapters/probe/probe';
import {
  probeAnswered,
  probeAsked,
  probeBegins,
  type ProbeResult,
  type ProbeState,
} from '../../core/announce/probe';
import { probedAddresses, probeKey } from '../../core/announce/proof';
import type { EdgeService, HealthSpec } from '../../core/model/anycast';
import { monotonicMs } from '../clock';

/** Sockets are cheap, processes are not. */
const AT_ONCE = { command: 8, other: 64 } as const;

export interface ProbesParts {
  /** A verdict or its reason changed. */
  changed(): void;
  /** Of each result. */
  asked(service: string, result: ProbeResult): void;
  /** Stands for the network and its processes in tests of the wiring. */
  ask?: typeof askProbe;
}

interface Probed {
  health: HealthSpec;
  question: Question;
  state: ProbeState;
}

export class Probes {
  private readonly probed = new Map<string, Probed>();
  private readonly running = { command: 0, other: 0 };
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly parts: ProbesParts) {}

  /** What goes on unchanged keeps its verdict; `before` is how it stood before this process. */
  set(services: readonly EdgeService[], before: Readonly<Record<string, boolean>>): void {
    const wanted = new Map(services.flatMap(questionsOf));
    for (const key of this.probed.keys()) if (!wanted.has(key)) this.probed.delete(key);
    for (const [key, { health, question }] of wanted) {
      const known = this.probed.get(key);
      const isSame =
        known !== undefined &&
        JSON.stringify([known.health, known.question]) === JSON.stringify([health, question]);
      if (isSame) continue;
      // Asked otherwise, it has to answer once to stand as it stood.
      const stood = known?.state.healthy ?? before[key] ?? null;
      const state = probeBegins(monotonicMs(), health, Math.random(), stood);
      this.probed.set(key, { health, question, state });
    }
    this.wake();
  }

  states(): ReadonlyMap<string, ProbeState> {
    return new Map([...this.probed].map(([key, { state }]) => [key, state]));
  }

  stop(): void {
    this.stopping.abort();
    if (this.timer !== null) clearTimeout(this.timer);
  }

  /** Asks what is due, and sets the clock for what is due next. */
  private wake(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.stopping.signal.aborted) return;
    const nowMs = monotonicMs();
    let nextMs = Infinity;
    for (const [key, probed] of this.probed) {
      const room = this.roomFor(probed);
      if (probed.state.dueMs > nowMs) nextMs = Math.min(nextMs, probed.state.dueMs);
      // Whoever ends makes room, and wakes us.
      else if (this.running[room] < AT_ONCE[room]) void this.ask(key, probed);
    }
    if (nextMs !== Infinity) this.timer = setTimeout(() => this.wake(), nextMs - nowMs);
  }

  private roomFor({ health }: Probed): keyof typeof AT_ONCE {
    return health.probe.kind === 'command' ? 'command' : 'other';
  }

  private async ask(key: string, probed: Probed): Promise<void> {
    const { health, question } = probed;
    const room = this.roomFor(probed);
    const beganMs = monotonicMs();
    probed.state = probeAsked(probed.state);
    this.running[room] += 1;
    const result = await (this.parts.ask ?? askProbe)(question, this.stopping.signal);
    this.running[room] -= 1;
    if (this.stopping.signal.aborted) return;
    this.parts.asked(question.service, result);
    // Of a question that is asked otherwise by now the answer says nothing.
    if (this.probed.get(key) === probed) {
      const { healthy, lastWhy } = probed.state;
      probed.state = probeAnswered(probed.state, health, result, beganMs, monotonicMs());
      const isNews = probed.state.healthy !== healthy || probed.state.lastWhy !== lastWhy;
      if (isNews) this.parts.changed();
    }
    this.wake();
  }
}

const questionsOf = (service: EdgeService): [string, Pick<Probed, 'health' | 'question'>][] => {
  const { name, namespace, addresses, health } = service;
  if (health === null) return [];
  const { probe, timeoutMs } = health;
  return probedAddresses(service).map((address) => [
    probeKey(name, address),
    { health, question: { service: name, namespace, probe, address, addresses, timeoutMs } },
  ]);
};
