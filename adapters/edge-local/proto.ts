/** Messages of `proto/edge_local.proto`, as both ends of the agent's socket see them. */
import { loadService } from '../grpc/service';

export const EDGE_LOCAL_SERVICE = loadService('edge_local.proto', 'aether.edgelocal.v1.EdgeLocal');

/** JSON of EdgeStatus. */
export interface StatusResponse {
  statusJson: Uint8Array;
}

/** What changes something. */
export interface ActRequest {
  /** Who asks, for the audit trail; '' on the wire: one that does not say, and is root all the same. */
  by: string;
}

export interface FreezeRequest extends ActRequest {
  /** 0 = until unfrozen. */
  forMs: number;
  reason: string;
}

export interface OverrideRequest extends ActRequest {
  prefix: string;
  /** `block`, `allow`, or `none`: the override of exactly this prefix ends. */
  verdict: string;
  reason: string;
  /** 0 = until it is taken back. */
  forMs: number;
}

export interface OverrideResponse {
  effective: boolean;
  /** From the request on until the filters held it. */
  tookMs: number;
  note: string;
}

export interface StandRequest extends ActRequest {
  /** '' = every service of this edge. */
  service: string;
  /** `deprefer`, `withdraw`, or `announce`: what was said by hand is taken back. */
  stance: string;
  reason: string;
  /** 0 = until it is taken back. */
  forMs: number;
}

export interface StandResponse {
  effective: boolean;
  /** From the request on until gobgpd held it. */
  tookMs: number;
  note: string;
  /** JSON of RoutingStatus. */
  routingJson: Uint8Array;
}

/** JSON of FilterQuestion, of FilterAnswer. */
export interface AskFilterRequest {
  questionJson: Uint8Array;
}

export interface AskFilterResponse {
  answerJson: Uint8Array;
}
