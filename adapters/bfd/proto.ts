/** Messages of `proto/bfd.proto`, as both ends of the bfd process's socket see them. */
import type { ToldEvent } from '../../core/announce/hold';
import type { BfdReport, Lease } from '../../core/announce/types';
import { loadService } from '../grpc/service';

export const BFD_SERVICE = loadService('bfd.proto', 'aether.bfd.v1.Bfd');

/** JSON of Lease; empty: the last one, renewed. */
export interface LeaseMessage {
  leaseJson: Uint8Array;
  taken: number;
}

/** JSON of BfdReport, of TimedEvent each. */
export interface ReportMessage {
  reportJson: Uint8Array;
  eventsJson: Uint8Array[];
  told: number;
}

/** RoutingEvent without its sequence. */
export type TimedEvent = ToldEvent & { atMs: number };

export interface Told {
  report: BfdReport;
  events: TimedEvent[];
  /** Number of the last event that was told; each goes on to be told anew until it was taken. */
  told: number;
}

/** `taken`: see `Told.told`. */
export const encodeLease = (lease: Lease | null, taken = 0): LeaseMessage => ({
  leaseJson: lease === null ? Buffer.alloc(0) : json(lease),
  taken,
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

export const encodeTold = ({ report, events, told }: Told): ReportMessage => ({
  reportJson: json(report),
  eventsJson: events.map(json),
  told,
});

export const decodeTold = ({ reportJson, eventsJson, told }: ReportMessage): Told => ({
  report: parse(reportJson) as BfdReport,
  events: eventsJson.map((event) => parse(event) as TimedEvent),
  told,
});

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const parse = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());
