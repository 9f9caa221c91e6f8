/** The agent's own socket: root only, works without any control plane. */
import { status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import type { EdgeStatus } from '../../core/model/messages';
import { safe } from '../grpc/service';
import { serveUnix, type UnixServer } from '../grpc/unix';
import type { AuditLine } from '../telemetry/logger';
import {
  EDGE_LOCAL_SERVICE,
  type ActRequest,
  type AskFilterRequest,
  type AskFilterResponse,
  type FreezeRequest,
  type OverrideRequest,
  type OverrideResponse,
  type StandRequest,
  type StandResponse,
  type StatusResponse,
} from './proto';

/** The request can't be done as it is: its message says what would be right. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** What the socket asks of the agent. */
export interface EdgeLocalPort {
  status(): Promise<EdgeStatus>;
  /** Resolves once it is on disk, or known that it can't be. */
  freeze(request: FreezeRequest): Promise<EdgeStatus>;
  unfreeze(): Promise<EdgeStatus>;
  /**
   * Resolves once the filters hold it and it is on disk, or it is known why not. Rejects with Refused
   * where there is no such prefix or verdict, or no room.
   */
  override(request: OverrideRequest): Promise<OverrideResponse>;
  /**
   * Resolves once gobgpd holds it and it is on disk, or it is known why not. Rejects with Refused where
   * there is no such service or stance.
   */
  stand(request: StandRequest): Promise<StandResponse>;
  /** JSON of FilterQuestion → JSON of FilterAnswer. */
  askFilter(questionJson: Uint8Array): Promise<Uint8Array>;
}

export interface EdgeLocalServing {
  /** Whose agent it is. */
  node: string;
  port: EdgeLocalPort;
  /** Each act leaves one line, however it ends. */
  audit: (line: AuditLine) => void;
}

export type EdgeLocalServer = UnixServer;

/** Rejects where another agent answers on `path`; a socket that nobody serves is replaced. */
export function serveEdgeLocal(path: string, serving: EdgeLocalServing): Promise<EdgeLocalServer> {
  const { node, port } = serving;
  return serveUnix(path, 'agent', EDGE_LOCAL_SERVICE, {
    status: unary(async () => json(await port.status())),
    freeze: act(
      serving,
      () => ['freeze', `Node/${node}`],
      async (request: FreezeRequest) =>
        json(await port.freeze({ ...request, forMs: safe(request.forMs) })),
    ),
    unfreeze: act(
      serving,
      () => ['unfreeze', `Node/${node}`],
      async () => json(await port.unfreeze()),
    ),
    override: act(
      serving,
      ({ verdict, prefix }) => [TYPED.get(verdict) ?? verdict, prefix],
      (request: OverrideRequest) => port.override({ ...request, forMs: safe(request.forMs) }),
    ),
    stand: act(
      serving,
      ({ stance, service }) => [
        TYPED.get(stance) ?? stance,
        service === '' ? 'all services' : `AnycastService/${service}`,
      ],
      (request: StandRequest) => port.stand({ ...request, forMs: safe(request.forMs) }),
    ),
    askFilter: unary(async ({ questionJson }: AskFilterRequest): Promise<AskFilterResponse> => ({
      answerJson: await port.askFilter(questionJson),
    })),
  });
}

/** Words that are typed otherwise: the audit trail has them as they are typed. */
const TYPED: ReadonlyMap<string, string> = new Map([
  ['none', 'unblock'],
  ['deprefer', 'drain'],
  ['announce', 'undrain'],
]);

const json = (edge: EdgeStatus): StatusResponse => ({
  statusJson: Buffer.from(JSON.stringify(edge)),
});

/** What a request of an act may say. */
interface Said extends ActRequest {
  reason?: string;
  forMs?: number;
}

/** `what`: verb and object, for the audit trail. */
const act = <Q extends Said, A extends object>(
  { audit }: EdgeLocalServing,
  what: (request: Q) => [verb: string, object: string],
  perform: (request: Q) => Promise<A>,
) =>
  unary(async (said: Q): Promise<A> => {
    const request = { ...said, by: said.by === '' ? 'root' : said.by };
    const [verb, object] = what(request);
    const { by, reason, forMs } = request;
    const given = { ...(reason === undefined ? {} : { reason }), ...(forMs ? { forMs } : {}) };
    const told = (outcome: string): void =>
      audit({ audit: true, by, verb, object, ...given, outcome });
    try {
      const answer = await perform(request);
      const { effective, note } = answer as { effective?: boolean; note?: string };
      told(effective === false ? `failed: not in force: ${note}` : 'done');
      return answer;
    } catch (error) {
      told(`${error instanceof Refused ? 'refused' : 'failed'}: ${(error as Error).message}`);
      throw error;
    }
  });

const unary =
  <Q, A>(answer: (request: Q) => Promise<A>) =>
  (call: ServerUnaryCall<Q, A>, done: sendUnaryData<A>): void => {
    void (async () => answer(call.request))().then(
      (value) => done(null, value),
      (error: unknown) => {
        const refused = error instanceof Refused;
        const details = error instanceof Error ? error.message : String(error);
        done({ code: refused ? status.INVALID_ARGUMENT : status.INTERNAL, details });
      },
    );
  };
