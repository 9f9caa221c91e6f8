/** Messages of `proto/bfd.proto`, as both ends of the bfd process's socket see them. */
import type { ToldEvent } from '../../core/announce/hold';
import type { BfdReport, Lease } from '../../core/announce/types';
import { loadService } from '../grpc/service';

export const BFD_SERVICE = loadService('bfd.proto', 'aether.bfd.v1.Bfd');

/** JSON of Lease; empty: the last one, renewed. */
export interface LeaseMessage {
  leaseJson: Uint8Array;
}

/** JSON of BfdReport, of TimedEvent each. */
export interface ReportMessage {
  reportJson: Uint8Array;
  eventsJson: Uint8Array[];
}

/** RoutingEvent without its sequence. */
export type TimedEvent = ToldEvent & { atMs: number };

export interface Told {
  report: BfdReport;
  events: TimedEvent[];
}

export const encodeLease = (lease: Lease | null): LeaseMessage => ({
  leaseJson: lease === null ? Buffer.alloc(0) : json(lease),
});

/** Throws SyntaxError or TypeError on what is no lease at all. */
export function decodeLease({ leaseJson }: LeaseMessage): Lease | null {
  if (leaseJson.length === 0) return null;
  const lease = parse(leaseJson) as Partial<Lease>;
  const { asn, graceMs, paths, sessions } = lease;
  const whole = Number.isSafeInteger(asn) && Number.isSafeInteger(graceMs);
  if (!whole || !Array.isArray(paths) || !Array.isArray(sessions)) {
    throw new TypeError('a lease has asn, graceMs, paths and sessions');
  }
  return lease as Lease;
}

export const encodeTold = ({ report, events }: Told): ReportMessage => ({
  reportJson: json(report),
  eventsJson: events.map(json),
});

export const decodeTold = ({ reportJson, eventsJson }: ReportMessage): Told => ({
  report: parse(reportJson) as BfdReport,
  events: eventsJson.map((event) => parse(event) as TimedEvent),
});

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const parse = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());
