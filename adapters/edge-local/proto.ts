/** Messages of `proto/edge_local.proto`, as both ends of the agent's socket see them. */
import { loadService } from '../grpc/service';

export const EDGE_LOCAL_SERVICE = loadService('edge_local.proto', 'aether.edgelocal.v1.EdgeLocal');

/** JSON of EdgeStatus. */
export interface StatusResponse {
  statusJson: Uint8Array;
}

export interface FreezeRequest {
  forMs: number;
  reason: string;
}
