/**
 * What an edge says of its routing, checked before anything is done with it. Fields that are not known
 * here pass, as in `reports.ts`: a newer agent may say more.
 */
import { z } from 'zod';
import { STANCES } from './anycast';
import { parser } from './reports';
import {
  BFD_STATES,
  BGP_STATES,
  type BfdSessionView,
  type NeighborView,
  type RoutingEvent,
  type RoutingStatus,
  type ServiceView,
} from './routing';

const count = z.int().nonnegative();
const ms = z.number().nonnegative();
const text = z.string();
const lines = z.array(text);

const bfdSession: z.ZodType<BfdSessionView> = z.looseObject({
  peer: text,
  multihop: z.boolean(),
  local: text.nullable(),
  mode: z.literal('seamless').exactOptional(),
  state: z.enum(BFD_STATES),
  remoteState: z.enum(BFD_STATES),
  sinceMs: ms,
  diagnostic: text,
  remoteDiagnostic: text,
  localDiscriminator: count,
  remoteDiscriminator: count,
  transmitIntervalMs: ms,
  detectTimeMs: ms,
  remoteMultiplier: count,
  refused: text.nullable(),
  packets: z.looseObject({ sent: count, received: count, dropped: count }),
  downs: count,
  lateMaxMs: ms,
  gapMaxMs: ms,
});

const neighbor: z.ZodType<NeighborView> = z.looseObject({
  address: text,
  asn: count,
  state: z.enum(BGP_STATES),
  localAddress: text.nullable(),
  sinceMs: ms,
  accepted: count,
  held: z.looseObject({ untilMs: ms.nullable(), why: text }).nullable(),
  problem: text.nullable(),
  bfd: bfdSession.nullable(),
});

const service: z.ZodType<ServiceView> = z.looseObject({
  service: text,
  prefixes: lines,
  stance: z.enum(STANCES),
  announced: z.boolean(),
  why: lines,
  proven: z.boolean().exactOptional(),
  sinceMs: ms,
  permit: z.boolean(),
});

const problem = text.nullable();

export const routingStatus: z.ZodType<RoutingStatus> = z.looseObject({
  atMs: ms,
  gobgpd: z.looseObject({ problem }),
  bfd: z.looseObject({ problem, realtime: z.boolean() }),
  neighbors: z.array(neighbor),
  bfdPeers: z.array(bfdSession),
  services: z.array(service),
});

const cause = z.enum(['path', 'consequence', 'administrative']);
const happened = { sequence: z.int().positive(), atMs: ms };

const known = z.discriminatedUnion('kind', [
  z.looseObject({ ...happened, kind: z.literal('bfdDown'), peer: text, diagnostic: text, cause }),
  z.looseObject({ ...happened, kind: z.literal('bfdUp'), peer: text }),
  z.looseObject({ ...happened, kind: z.literal('bgpDown'), peer: text, reason: text, cause }),
  z.looseObject({ ...happened, kind: z.literal('bgpUp'), peer: text }),
  z.looseObject({
    ...happened,
    kind: z.literal('stance'),
    service: text,
    from: z.enum(STANCES),
    to: z.enum(STANCES),
    why: text,
    cause: z.enum(['path', 'administrative']).exactOptional(),
  }),
  z.looseObject({ ...happened, kind: z.literal('agentCrash'), reason: text }),
]);
const KINDS: readonly string[] = known.options.map(({ shape }) => shape.kind.value);

/** A kind that only a newer agent knows is handed on, so that it is acknowledged. */
const unknown = z
  .looseObject({ ...happened, kind: text.refine((kind) => !KINDS.includes(kind)) })
  .transform((value) => value as unknown as RoutingEvent);

const routingEvent: z.ZodType<RoutingEvent> = z.union([known, unknown]);

export const parseRoutingStatus = parser(routingStatus);
export const parseRoutingEvent = parser(routingEvent);
