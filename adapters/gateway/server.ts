/**
 * The activity gateway: an edge's way to Temporal, through its controller. It offers WorkflowService on
 * the server of the edge streams and passes what `rules.ts` lets through, bytes in and bytes out. What
 * goes on is decided by the certificate alone, so any controller serves any edge.
 */
import * as grpc from '@grpc/grpc-js';
import { type Caller, callerOf } from '../grpc/mtls';
import { asIs, type Done } from '../grpc/raw';
import { Seldom } from '../telemetry/seldom';
import { type Cluster, judge, PASSED_METHODS, POLL, sealedTask } from './rules';

export type Outcome = 'passed' | 'refused' | 'limited' | 'failed';

/** A way to Temporal that neither reads nor retries. */
export interface Upstream {
  call(method: string, request: Uint8Array, deadline: Date, done: Done): { cancel(): void };
}

type Known = Cluster & { upstream: Upstream };

export interface GatewayOptions {
  /** Null while there is no way to Temporal, or the cluster's secret is not known. */
  cluster(): Known | null;
  /** Whether a certificate that was issued then is of no use any more; null: it is of use. */
  bar?(edge: string, issuedAtMs: number): Barred | null;
  /** A call of an edge with that certificate is passed on. */
  shown?(edge: string, issuedAtMs: number): void;
  /** Methods that are refused by name instead of as unknown ones; `temporal.api…/Method` each. */
  refusedPaths: readonly string[];
  onCall(method: string, outcome: Outcome): void;
  /** At most once a second for an edge; `more`: how many were not told since. */
  onRefused(edge: string, method: string, why: string, more: number): void;
}

/** `older`: nothing is handed to it any more; what it has it may answer. */
export interface Barred {
  kind: 'removed' | 'older';
  /** What happened, and what to do. */
  why: string;
}

export interface Gateway {
  readonly service: grpc.ServiceDefinition;
  readonly implementation: grpc.UntypedServiceImplementation;
  /** Ends the polls of an edge whose certificate is of no use any more. */
  look(edge: string): void;
  /** Answers polls with "nothing to do": who polls again does so at another controller. */
  close(): void;
}

export const WORKFLOW_SERVICE = 'temporal.api.workflowservice.v1.WorkflowService';

/** A Worker has one (formerly two), and again while it moves to another connection; its host leaves up to four. */
const POLLS_PER_EDGE = 8;
const CALLS_PER_EDGE = 32;
/** Temporal answers a poll after a minute; a client asks for a little longer. */
const POLL_MAX_MS = 75_000;
const CALL_MAX_MS = 15_000;
const TOLD_EVERY_MS = 1_000;
/** A Worker has moved to its new connection by then. */
const RENEWING_MS = 1_000;

type Call = grpc.ServerUnaryCall<Buffer, Uint8Array>;
type Answer = grpc.sendUnaryData<Uint8Array>;

export function createGateway(options: GatewayOptions): Gateway {
  const gateway = new Running(options);
  const service: Record<string, grpc.MethodDefinition<Buffer, Uint8Array>> = {};
  const implementation: grpc.UntypedServiceImplementation = {};
  const offer = (path: string, handle: (call: Call, answer: Answer) => void): void => {
    service[path] = rawMethod(path);
    implementation[path] = handle;
  };
  for (const path of options.refusedPaths) {
    offer(path, (call, answer) => gateway.refuse(call, path, answer));
  }
  for (const method of PASSED_METHODS) {
    offer(`/${WORKFLOW_SERVICE}/${method}`, (call, answer) => gateway.pass(call, method, answer));
  }
  const look = (edge: string): void => gateway.look(edge);
  return { service, implementation, look, close: () => gateway.close() };
}

/** Bytes in and bytes out. */
export const rawMethod = (path: string): grpc.MethodDefinition<Buffer, Uint8Array> => ({
  path,
  requestStream: false,
  responseStream: false,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
});

/** A poll that is let through. */
interface Asked {
  call: Call;
  edge: string;
  issuedAtMs: number;
  request: Uint8Array;
  release: () => void;
  answer: Answer;
}

interface Poll {
  edge: string;
  issuedAtMs: number;
  /** With an error, or with "nothing to do". */
  leave(error: Partial<grpc.ServiceError> | null): void;
}

class Running {
  private readonly underWay = new Map<string, { polls: number; calls: number }>();
  private readonly told = new Seldom(TOLD_EVERY_MS);
  private readonly polls = new Set<Poll>();
  private closed = false;

  constructor(private readonly options: GatewayOptions) {}

  refuse(call: Call, path: string, answer: Answer): void {
    const method = path.slice(path.lastIndexOf('/') + 1);
    const edge = edgeOf(call);
    this.denied(edge?.id ?? 'nobody', method, `an edge may not call ${method}`, answer);
  }

  pass(call: Call, method: string, answer: Answer): void {
    const caller = edgeOf(call);
    if (caller === null) {
      return this.denied('nobody', method, 'the certificate is not that of an edge', answer);
    }
    const { cluster, onCall } = this.options;
    const known = cluster();
    if (known === null || this.closed) {
      onCall(method, 'failed');
      return answer(status(grpc.status.UNAVAILABLE, 'this controller has no way to Temporal now'));
    }
    const { id: edge, issuedAtMs } = caller;
    const isPoll = method === POLL;
    const bar = this.options.bar?.(edge, issuedAtMs) ?? null;
    if (bar !== null && (bar.kind === 'removed' || isPoll)) {
      return this.denied(edge, method, bar.why, answer);
    }
    const verdict = judge(method, edge, call.request, known);
    if (!verdict.ok) return this.denied(edge, method, verdict.why, answer);
    const release = this.enter(edge, method);
    if (release === null) {
      onCall(method, 'limited');
      return answer(status(grpc.status.RESOURCE_EXHAUSTED, `${edge} has too many calls open`));
    }
    this.options.shown?.(edge, issuedAtMs);
    const { request } = verdict;
    if (isPoll) return this.poll({ call, edge, issuedAtMs, request, release, answer }, known);
    const until = deadline(call, CALL_MAX_MS);
    const under = known.upstream.call(method, request, until, (error, bytes) => {
      release();
      onCall(method, outcomeOf(error));
      if (error === null) answer(null, bytes ?? new Uint8Array());
      else answer(passedOn(error));
    });
    call.on('cancelled', () => under.cancel());
  }

  private poll({ call, edge, issuedAtMs, request, release, answer }: Asked, known: Known): void {
    const finish = (error: Partial<grpc.ServiceError> | null, bytes?: Uint8Array): void => {
      if (!this.polls.delete(poll)) return;
      release();
      this.options.onCall(POLL, outcomeOf(error));
      answer(error, bytes ?? new Uint8Array());
    };
    const leave = (error: Partial<grpc.ServiceError> | null): void => {
      if (!this.polls.has(poll)) return;
      under.cancel();
      finish(error);
    };
    const poll: Poll = { edge, issuedAtMs, leave };
    this.polls.add(poll);
    const until = deadline(call, POLL_MAX_MS);
    const under = known.upstream.call(POLL, request, until, (error, bytes) => {
      if (error !== null) return finish(passedOn(error));
      finish(null, sealedTask(edge, bytes ?? new Uint8Array(), known.tokens));
    });
    call.on('cancelled', () => leave(null));
  }

  close(): void {
    this.closed = true;
    for (const { leave } of [...this.polls]) leave(null);
  }

  look(edge: string): void {
    // Asked for thousands of edges at once, after etcd was listed anew.
    for (const poll of this.polls) {
      if (poll.edge !== edge) continue;
      const bar = this.options.bar?.(edge, poll.issuedAtMs) ?? null;
      if (bar?.kind === 'removed') poll.leave(status(grpc.status.PERMISSION_DENIED, bar.why));
      // Its Worker is about to poll with the newer one instead; a refusal would end it.
      if (bar?.kind === 'older') setTimeout(() => poll.leave(null), RENEWING_MS).unref();
    }
  }

  /** Null where this edge has as many under way as it may. */
  private enter(edge: string, method: string): (() => void) | null {
    const count = this.underWay.get(edge) ?? { polls: 0, calls: 0 };
    const kind = method === POLL ? 'polls' : 'calls';
    if (count[kind] >= (kind === 'polls' ? POLLS_PER_EDGE : CALLS_PER_EDGE)) return null;
    count[kind]++;
    this.underWay.set(edge, count);
    return () => {
      count[kind]--;
      if (count.polls + count.calls === 0) this.underWay.delete(edge);
    };
  }

  private denied(edge: string, method: string, why: string, answer: Answer): void {
    this.options.onCall(method, 'refused');
    const more = this.told.due(edge);
    if (more !== null) this.options.onRefused(edge, method, why, more);
    answer(status(grpc.status.PERMISSION_DENIED, why));
  }
}

const outcomeOf = (error: { code?: grpc.status } | null): Outcome =>
  error === null || error.code === grpc.status.CANCELLED ? 'passed' : 'failed';

function edgeOf(call: Call): Caller | null {
  const caller = callerOf(call);
  return caller?.role === 'edge' ? caller : null;
}

const status = (code: grpc.status, details: string): Partial<grpc.ServiceError> => ({
  code,
  details,
});

/** The client's, as far as we go along with it. */
function deadline(call: Call, mostMs: number): Date {
  const atMostMs = Date.now() + mostMs;
  const asked = Number(call.getDeadline());
  return new Date(Math.min(atMostMs, asked));
}

const DETAILS = 'grpc-status-details-bin';

/** Temporal's own words: the SDK reads what kind of failure it was from the details. */
function passedOn({ code, details, metadata }: grpc.ServiceError): Partial<grpc.ServiceError> {
  const kept = new grpc.Metadata();
  for (const value of metadata.get(DETAILS)) kept.add(DETAILS, value);
  return { code, details, metadata: kept };
}
