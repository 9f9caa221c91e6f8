/** What controllers tell one another of an edge, and of themselves (`proto/peer.proto`). JSON-plain; fields are added, never changed. */
import { z } from 'zod';
import type { Finding } from '../plan/types';
import { parser } from './reports';
import type { RoutingStatus } from './routing';
import { routingStatus } from './routing-reports';
import type { CertificateView } from './views';

/** All ages are of the moment it was told, in ms. */
export interface ToldFacts {
  /** Its stream is up here. */
  connected: boolean;
  /** Name of that stream, or of the last one: another name is another stream. */
  stream: string;
  connectedAgoMs: number;
  seenAgoMs: number;
  /** Hash of the spec that its host was last verified to be; '' = never. */
  appliedHash: string;
  /** What was found on it and is not known to be over. */
  open: { incidentId: string; findings: Finding[] } | null;
  /** Why it refused the last spec it was sent. */
  refused: string | null;
  /** As it said last; null: it has not said. */
  routing: { status: RoutingStatus; heardAgoMs: number } | null;
}

const age = z.number().nonnegative();
const finding = z.custom<Finding>((value) => typeof value === 'object' && value !== null);

const toldFacts: z.ZodType<ToldFacts> = z.looseObject({
  connected: z.boolean(),
  stream: z.string(),
  connectedAgoMs: age,
  seenAgoMs: age,
  appliedHash: z.string(),
  open: z.looseObject({ incidentId: z.string(), findings: z.array(finding) }).nullable(),
  refused: z.string().nullable(),
  routing: z.looseObject({ status: routingStatus, heardAgoMs: age }).nullable(),
});

export const parseToldFacts = parser(toldFacts);

const certificateView: z.ZodType<CertificateView> = z.looseObject({
  what: z.string(),
  expiresAtMs: z.number(),
  authority: z.string(),
  trusted: z.array(z.string()),
  problem: z.string().nullable(),
});

export const parseToldCertificates = parser(z.array(certificateView));

/** What was told of an edge, so much later; but for when it was seen, which goes by whether its stream is up. */
export function aged(told: ToldFacts, laterMs: number): ToldFacts {
  const { routing, connectedAgoMs } = told;
  return {
    ...told,
    connectedAgoMs: connectedAgoMs + laterMs,
    routing: routing && { ...routing, heardAgoMs: routing.heardAgoMs + laterMs },
  };
}
