/** Messages of `proto/peer.proto`, as both ends see them. */
import type { NodeName } from '../../core/model/ids';
import { loadService } from '../grpc/service';

/** `factsJson`: of ToldFacts (core/model/edge-facts.ts). */
export interface NodeFacts {
  node: NodeName;
  factsJson: Uint8Array;
}

export type FactsEvent =
  | { event: 'hello'; hello: { controller: string; boot: string } }
  | { event: 'facts'; facts: { nodes: NodeFacts[] } }
  | { event: 'synced'; synced: Record<string, never> }
  | { event: 'certificates'; certificates: { json: Uint8Array } }
  | { event: 'heartbeat'; heartbeat: Record<string, never> };

/** What only the edge itself can answer. JSON as in the edge stream. */
export type Question =
  | { question: 'status'; status: Record<string, never> }
  | { question: 'filterJson'; filterJson: Uint8Array };

export type AskRequest = { node: NodeName } & Question;
export interface AskResponse {
  answerJson: Uint8Array;
}

/** The edge's stream is not there: somebody else has it, or nobody. */
export class NoStream extends Error {
  override readonly name = 'NoStream';
}

export const PEER_SERVICE = loadService('peer.proto', 'aether.peer.v1.Peer');

/** Each second an event; after three seconds without any the stream is given up. */
export const HEARTBEAT_MS = 1_000;
export const SILENCE_MS = 3 * HEARTBEAT_MS;
