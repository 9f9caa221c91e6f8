/** The agent's own socket: root only, works without any control plane. */
import { status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import type { EdgeStatus } from '../../core/model/messages';
import { safe } from '../grpc/service';
import { serveUnix, type UnixServer } from '../grpc/unix';
import {
  EDGE_LOCAL_SERVICE,
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
  /** `forMs` 0: until unfrozen. Resolves once it is on disk, or known that it can't be. */
  freeze(forMs: number, reason: string): Promise<EdgeStatus>;
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

export type EdgeLocalServer = UnixServer;

/** Rejects where another agent answers on `path`; a socket that nobody serves is replaced. */
export const serveEdgeLocal = (path: string, port: EdgeLocalPort): Promise<EdgeLocalServer> =>
  serveUnix(path, 'agent', EDGE_LOCAL_SERVICE, {
    status: unary(async () => json(await port.status())),
    freeze: unary(async ({ forMs, reason }: FreezeRequest) =>
      json(await port.freeze(safe(forMs), reason)),
    ),
    unfreeze: unary(async () => json(await port.unfreeze())),
    override: unary((request: OverrideRequest) =>
      port.override({ ...request, forMs: safe(request.forMs) }),
    ),
    stand: unary((request: StandRequest) => port.stand({ ...request, forMs: safe(request.forMs) })),
    askFilter: unary(async ({ questionJson }: AskFilterRequest): Promise<AskFilterResponse> => ({
      answerJson: await port.askFilter(questionJson),
    })),
  });

const json = (edge: EdgeStatus): StatusResponse => ({
  statusJson: Buffer.from(JSON.stringify(edge)),
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
