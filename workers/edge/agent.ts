/**
 * Drives `core/edge`: feeds it what happens, obeys its effects, wakes it when it asks for it. It
 * decides nothing.
 */
import { randomBytes } from 'node:crypto';
import type { EdgePort } from '../../activities/edge';
import type { Logger } from '../../adapters/telemetry/logger';
import type { Up } from '../../adapters/edge-stream/proto';
import { deadline, initialState, step } from '../../core/edge/machine';
import { statusOf, type ShellStatus } from '../../core/edge/report';
import type { Effect, Input, Job, State } from '../../core/edge/types';
import type { EdgeStatus, ReconcileRequest, ReconcileResult } from '../../core/model/messages';
import { incidentId } from '../../core/repair/incident';
import type { AgentFiles, Remembered } from './files';
import type { FilterWork } from './filter-work';
import type { HostWork } from './host-work';
import type { EdgeMetrics } from './metrics';
import { tell } from './notes';
import type { Routing } from './routing';
import { now } from '../clock';

/** The time of day may be set: what ends by it is looked at anew after this. */
const SLEEP_MAX_MS = 60_000;

export interface AgentParts {
  node: string;
  files: Pick<AgentFiles, 'saveSpec' | 'saveMemory' | 'flushed'>;
  host: HostWork;
  filters: Pick<FilterWork, 'set'>;
  routing: Pick<Routing, 'set'>;
  log: Logger;
  metrics: EdgeMetrics;
  /** False where nobody is connected; the machine says it again. */
  send(message: Up): boolean;
  shellStatus(): ShellStatus;
}

export class Agent {
  private state: State;
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;
  private tickets = 0;
  private readonly waiting = new Map<number, (result: ReconcileResult) => void>();
  private readonly sources = { newIncidentId: () => incidentId(randomBytes(10)) };

  constructor(
    private readonly parts: AgentParts,
    { accepted, memory }: Pick<Remembered, 'accepted' | 'memory'>,
  ) {
    this.state = initialState(parts.node, accepted, memory);
  }

  get memory(): State['memory'] {
    return this.state.memory;
  }

  get accepted(): State['accepted'] {
    return this.state.accepted;
  }

  put(input: Input): void {
    if (this.stopped) return;
    const { look } = this.state;
    const { state, effects } = step(this.state, input, now(), this.sources);
    this.state = state;
    for (const effect of effects) this.obey(effect);
    if (effects.length > 0 || look !== state.look) this.showState();
    this.sleep();
  }

  /** Asks for a job of a workflow; resolves with its result, a refusal included. */
  request(job: Job['kind'], request: ReconcileRequest): Promise<ReconcileResult> {
    return new Promise((resolve) => {
      const ticket = ++this.tickets;
      this.waiting.set(ticket, resolve);
      this.put({ kind: 'requested', job, request, ticket });
    });
  }

  status(): EdgeStatus {
    return statusOf(this.state, this.parts.shellStatus(), now());
  }

  /** Takes no more input; resolves when a job under way has ended and memory is on disk. */
  async stop(): Promise<void> {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.parts.host.idle();
    await this.parts.files.flushed();
  }

  private sleep(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    const at = now();
    const delayMs = deadline(this.state, at) - at.monotonicMs;
    const sleepMs = Math.min(Math.max(delayMs, 0), SLEEP_MAX_MS);
    this.timer = setTimeout(() => this.put({ kind: 'tick' }), sleepMs);
  }

  private obey(effect: Effect): void {
    const { files, host, send, log, metrics } = this.parts;
    switch (effect.kind) {
      case 'storeSpec': {
        const { accepted } = effect;
        void files
          .saveSpec(accepted)
          .then((error) => this.put({ kind: 'specStored', accepted, error }));
        return;
      }
      case 'persist':
        return files.saveMemory(this.state.memory);
      case 'watch':
        host.watch(effect.spec);
        return this.parts.routing.set(effect.spec);
      case 'filters':
        return this.parts.filters.set(effect.accepted, effect.overrides);
      case 'observe':
        void host
          .look(effect.spec, effect.hash)
          .then((look) =>
            this.put(look === null ? { kind: 'observeFailed' } : { kind: 'observed', look }),
          );
        return;
      case 'start':
        void host.run(effect).then((result) => this.put({ kind: 'jobDone', result }));
        return;
      case 'answer':
        this.waiting.get(effect.ticket)?.(effect.result);
        this.waiting.delete(effect.ticket);
        return;
      case 'note':
        return tell(effect.note, log, metrics);
      default:
        send(upMessage(effect));
    }
  }

  private showState(): void {
    const { metrics } = this.parts;
    const { accepted, look, memory } = this.state;
    metrics.findings.set(look?.findings.length ?? 0);
    metrics.acceptedRevision.set(accepted?.spec.revision ?? 0);
    metrics.incidentOpen.set(memory.incident === null ? 0 : 1);
  }
}

/** For its activities. */
export const portOf = (agent: Agent): EdgePort => ({
  reconcile: (request) => agent.request('reconcile', request),
  remove: (request) => agent.request('remove', request),
  noteDecision: async ({ incidentId, decision }) =>
    agent.put({ kind: 'decisionNoted', incidentId, decision }),
  status: async () => agent.status(),
});

type Said = Extract<Effect, { kind: 'report' | 'applied' | 'record' | 'refuseSpec' }>;

function upMessage(effect: Said): Up {
  switch (effect.kind) {
    case 'report':
      return { message: 'drift', drift: { reportJson: json(effect.report) } };
    case 'record':
      return { message: 'repairEnded', repairEnded: { recordJson: json(effect.record) } };
    case 'applied': {
      const { revision, hash } = effect;
      return { message: 'applied', applied: { revision, hash } };
    }
    case 'refuseSpec': {
      const { revision, reason } = effect;
      return { message: 'specRefused', specRefused: { revision, reason } };
    }
  }
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
