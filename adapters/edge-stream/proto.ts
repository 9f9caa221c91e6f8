/** Messages of `proto/edge_stream.proto`, as both ends of the edge stream see them. */
import type { OwnerFence } from '../../core/model/edge-spec';
import { loadService, type OneOf } from '../grpc/service';

export interface UpMessages {
  hello: Hello;
  /** JSON of DriftReport. */
  drift: { reportJson: Uint8Array };
  applied: { revision: number; hash: string };
  /** JSON of RepairRecord. */
  repairEnded: { recordJson: Uint8Array };
  heartbeat: { atMs: number };
  specRefused: { revision: number; reason: string };
  /** JSON of EdgeStatus. */
  statusReply: { id: number; statusJson: Uint8Array };
  /** SHA-256 each, hex; at most CHUNKS_AT_ONCE that were not answered yet. */
  chunkRequest: { sha256: string[] };
  /** JSON of FilterAnswer, or empty and why there is none. */
  filterReply: { id: number; answerJson: Uint8Array; error: string };
  /** JSON of RoutingStatus, and of a RoutingEvent each. */
  routing: { statusJson: Uint8Array; eventsJson: Uint8Array[] };
  /** The controller with that id, which the other end of this stream sent us to, has welcomed us. */
  moved: { controller: string };
  /** What came on this stream is refused: that fence is the highest heard. */
  fenced: { fence: OwnerFence | null };
  /** SHA-256 of blobs, and of the pieces of `from`. */
  deltaRequest: { from: string; to: string; fromChunks: string[] };
}
export type Up = OneOf<UpMessages>;

/** What this build speaks; each version's additions are listed in edge_stream.proto. */
export const PROTOCOL = 2;

/** Both ends follow redirects, and know deltas of lists, from these versions on. */
export const PROTOCOL_OF_REDIRECTS = 2;
export const PROTOCOL_OF_DELTAS = 2;

/** `acceptedRevision` 0 and empty hashes while there is none. */
export interface Hello {
  incarnation: number;
  agentVersion: string;
  acceptedRevision: number;
  acceptedHash: string;
  appliedHash: string;
  /** 0: the first version. */
  protocol: number;
  /** The highest heard; null while none was. */
  fence: OwnerFence | null;
}

/** `address`: `host:port`, where edges reach it. */
export interface ControllerAddress {
  id: string;
  address: string;
}

export interface DownMessages {
  welcome: {
    controller: string;
    /** 0: the first version. */
    protocol: number;
    controllers: ControllerAddress[];
    /** 0: not said. */
    spreadMs: number;
  };
  /** JSON of EdgeSpec. */
  spec: { revision: number; hash: string; specJson: Uint8Array };
  heartbeat: { atMs: number; spreadMs: number; lost: boolean };
  driftAck: { incidentId: string };
  recordAck: { incidentId: string; atMs: number };
  statusRequest: { id: number };
  /** `missing`: the controller has none; `data` is empty then. */
  chunk: { sha256: string; data: Uint8Array; missing: boolean };
  /** JSON of FilterQuestion. */
  filterRequest: { id: number; questionJson: Uint8Array };
  routingAck: { sequence: number };
  /** Empty: a former one of this stream is taken back. */
  redirect: { controller: string; address: string };
  controllers: { controllers: ControllerAddress[] };
  /** `missing`: there is none; `data` is empty then. */
  delta: { from: string; to: string; data: Uint8Array; missing: boolean };
}
export type Down = { fence: OwnerFence | null } & OneOf<DownMessages>;

export const EDGE_STREAM_SERVICE = loadService('edge_stream.proto', 'aether.edge.v1.EdgeStream');

/** Chunks that an edge has asked for and not got; CHUNK_BYTES each at most. */
export const CHUNKS_AT_ONCE = 4;

/** Each end sends a heartbeat this often and gives the stream up after three without any message. */
export const HEARTBEAT_MS = 15_000;

/** Trailer of a refusal with RESOURCE_EXHAUSTED: ms, decimal. */
export const RETRY_AFTER_KEY = 'aether-retry-after-ms';

/** An edge that asks for more at once loses its stream. */
export const CHUNKS_ASKED_MAX = 64;

export { CONTROLLER_SERVER_NAME } from '../grpc/mtls';
