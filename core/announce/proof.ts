/**
 * Stance of each prefix: the worst of what is commanded (spec, and by hand on this edge) and of what
 * the local proof allows (docs/notes/routing.md).
 *
 *            held ──────────────► announce
 *   proof ─► lost ──────────────► withdraw with a permit or `lastAnnouncer: withdraw`, else deprefer
 *            unknown ───────────► as it was before, for graceMs; then lost
 *            never held, at all ► withdraw: who never proved it attracts nobody
 *
 * Each prefix has a proof of its own: an address that a new spec brings along is not there yet, and
 * that is no reason to turn away the traffic of those that are.
 */
import { worst, type EdgeService, type Stance } from '../model/anycast';
import type { Now } from '../model/now';
import { contains, parsePrefix } from '../model/prefix';
import { hostPrefix } from '../model/service-ways';
import type { HostEvidence } from './host';
import { overridesOf, type StanceOverride } from './override';
import { probeTrouble, type ProbeState } from './probe';

/** What was last known of a prefix; a prefix that is absent was never proven. */
export interface Known {
  held: boolean;
  /** Monotonic ms: since when nothing newer is known; null = it is known now. */
  unknownSinceMs: number | null;
}

export interface Evidence {
  /** The last look that could be read; null = none since this process began. */
  host: HostEvidence | null;
  /** By `probeKey`; a service without a probe has none. */
  probes: ReadonlyMap<string, ProbeState>;
  /** By interface: why it holds nothing of what it should. */
  filters: readonly { interface: string; why: string }[];
}

export interface Judgement {
  service: string;
  /** The worst of its prefixes; those that were never proven count only where no other is there. */
  stance: Stance;
  /** Why it is not announced, a sentence each; empty = nothing speaks against it. */
  why: string[];
  paths: { prefix: string; stance: Stance }[];
  /** The proof of those that count holds, whatever is commanded. */
  proven: boolean;
}

export interface Judged {
  services: Judgement[];
  /** What to judge by the next time, and to keep over a restart. By prefix. */
  known: Record<string, Known>;
}

/** A look that is older than this proves nothing any more. */
export const LOOK_FRESH_MS = 5_000;

/** What a probe is kept under: `address` null = asked once for the whole service. */
export const probeKey = (service: string, address: string | null): string =>
  `${service} ${address ?? '*'}`;

/** What a service's probe is asked of. */
export const probedAddresses = ({ health, addresses }: EdgeService): (string | null)[] => {
  if (health === null) return [];
  return health.probe.kind === 'command' ? [null] : addresses;
};

export function judge(
  services: readonly EdgeService[],
  evidence: Evidence,
  overrides: readonly StanceOverride[],
  before: Readonly<Record<string, Known>>,
  graceMs: number,
  { monotonicMs, epochMs }: Now,
): Judged {
  const known: Record<string, Known> = {};
  const judged = services.map((service) => {
    const commands = commandsOf(service, overrides, epochMs);
    const paths = service.prefixes.map((prefix) => {
      const proof = proofOf(service, prefix, evidence, monotonicMs);
      const next = follow(before[prefix], proof, monotonicMs);
      if (next !== null) known[prefix] = next;
      return { prefix, ...allowed(service, proof, next, graceMs, monotonicMs) };
    });
    return judgementOf(service.name, commands, paths, known);
  });
  return { services: judged, known };
}

interface Part {
  stance: Stance;
  why: string[];
}

function judgementOf(
  service: string,
  commands: readonly Part[],
  paths: readonly (Part & { prefix: string })[],
  known: Readonly<Record<string, Known>>,
): Judgement {
  const commanded = worst(...commands.map(({ stance }) => stance));
  const proven = paths.filter(({ prefix }) => prefix in known);
  const counting = proven.length > 0 ? proven : paths;
  const why = [...commands, ...paths].flatMap((each) => each.why);
  return {
    service,
    stance: worst(commanded, ...counting.map(({ stance }) => stance)),
    why: [...new Set(why)],
    paths: paths.map(({ prefix, stance }) => ({ prefix, stance: worst(commanded, stance) })),
    proven: counting.every(({ stance }) => stance === 'announce'),
  };
}

function commandsOf(
  { name, commanded }: EdgeService,
  overrides: readonly StanceOverride[],
  epochMs: number,
): Part[] {
  const byHand = overridesOf(overrides, name, epochMs).map(({ stance, reason }) => ({
    stance,
    why: [`${stance} by hand on this edge: ${reason}`],
  }));
  const why = commanded.stance === 'announce' ? [] : [commanded.why];
  return [{ stance: commanded.stance, why }, ...byHand];
}

interface Proof {
  state: 'held' | 'lost' | 'unknown';
  why: string[];
}

/** Evidence against it is worth more than what is not known. */
function proofOf(
  service: EdgeService,
  prefix: string,
  evidence: Evidence,
  monotonicMs: number,
): Proof {
  const addresses = addressesIn(service, prefix);
  const parts = [
    hostProof(service, addresses, evidence.host, monotonicMs),
    ...evidence.filters.map(({ interface: name, why }): Proof => ({
      state: 'lost',
      why: [`the filter of ${name} holds nothing: ${why}`],
    })),
    ...probedAddresses(service)
      .filter((address) => address === null || addresses.includes(address))
      .map((address) => probeProof(evidence.probes.get(probeKey(service.name, address)), address)),
  ];
  for (const state of ['lost', 'unknown'] as const) {
    const found = parts.filter((part) => part.state === state);
    if (found.length > 0) return { state, why: found.flatMap(({ why }) => why) };
  }
  return { state: 'held', why: [] };
}

function hostProof(
  { name }: EdgeService,
  addresses: readonly string[],
  look: HostEvidence | null,
  monotonicMs: number,
): Proof {
  const found = look?.services[name];
  if (look === null || found === undefined || monotonicMs - look.atMs > LOOK_FRESH_MS) {
    return { state: 'unknown', why: ['the host was not looked at'] };
  }
  const why = [...found.all];
  for (const address of addresses) {
    const losses = found.addresses[address];
    if (losses === undefined) return { state: 'unknown', why: ['the host was not looked at'] };
    why.push(...losses);
  }
  return { state: why.length > 0 ? 'lost' : 'held', why };
}

function probeProof(probe: ProbeState | undefined, address: string | null): Proof {
  const of = address === null ? 'the probe' : `the probe of ${address}`;
  const trouble = probe === undefined ? null : probeTrouble(probe);
  if (probe?.healthy == null) {
    return {
      state: 'unknown',
      why: [`${of} has not answered yet${trouble ? `: ${trouble}` : ''}`],
    };
  }
  if (probe.healthy) return { state: 'held', why: [] };
  return { state: 'lost', why: [`${of} fails: ${trouble ?? 'it has just begun to answer again'}`] };
}

function addressesIn({ addresses }: EdgeService, prefix: string): string[] {
  const outer = parsePrefix(prefix);
  return addresses.filter((address) => {
    const own = parsePrefix(hostPrefix(address));
    return outer !== null && own !== null && contains(outer, own);
  });
}

function follow(before: Known | undefined, { state }: Proof, monotonicMs: number): Known | null {
  if (state === 'held') return { held: true, unknownSinceMs: null };
  if (before === undefined) return null;
  if (state === 'lost') return { held: false, unknownSinceMs: null };
  // A version before this one noted the time of day.
  const sinceMs = Math.min(before.unknownSinceMs ?? monotonicMs, monotonicMs);
  return { ...before, unknownSinceMs: sinceMs };
}

function allowed(
  { permit, lastAnnouncer }: EdgeService,
  { state, why }: Proof,
  known: Known | null,
  graceMs: number,
  monotonicMs: number,
): Part {
  if (state === 'held') return { stance: 'announce', why: [] };
  if (known === null) {
    return { stance: 'withdraw', why: why.map((reason) => `not proven yet: ${reason}`) };
  }
  const { held, unknownSinceMs } = known;
  const inGrace = unknownSinceMs !== null && monotonicMs - unknownSinceMs < graceMs;
  if (held && inGrace) return { stance: 'announce', why: [] };
  return { stance: lessened({ permit, lastAnnouncer }), why };
}

/** How a prefix stands that has lost its proof, or whose agent is gone. */
export const lessened = ({
  permit,
  lastAnnouncer,
}: Pick<EdgeService, 'permit' | 'lastAnnouncer'>): 'deprefer' | 'withdraw' =>
  permit || lastAnnouncer === 'withdraw' ? 'withdraw' : 'deprefer';
