/**
 * What one look at the host proves of a service: the namespace is ours and its links are up, its
 * addresses are on `lo`, the host's routes lead to them, and the filters stand before it.
 *
 * Judged by the host itself and not by findings: a wrong MTU or a surplus route is a difference to
 * repair, but no reason to turn traffic away.
 */
import type { EdgeService } from '../model/anycast';
import type { ObservedFilter, ObservedHost, ObservedLink } from '../model/host';
import { hostPrefix } from '../model/service-ways';
import type { Pair } from '../plan/pairs';
import { survey, type Input, type Survey } from '../plan/survey';

/** What is lost, a sentence each; empty = proven. `addresses` by address, the rest for all of them. */
export interface HostEvidence {
  /** Monotonic ms: when the look began. */
  atMs: number;
  services: Record<string, { all: string[]; addresses: Record<string, string[]> }>;
}

/** Null where the look proves nothing: a torn dump in which something is missing. */
export function hostEvidence(
  input: Input,
  services: readonly EdgeService[],
  atMs: number,
): HostEvidence | null {
  const view = survey(input);
  const filters = filterLosses(view);
  const evidence = services.map((service) => {
    const { all, addresses } = serviceLosses(view, service);
    return { name: service.name, losses: { all: [...all, ...filters], addresses } };
  });
  const lost = evidence.some(
    ({ losses: { all, addresses } }) =>
      all.length > 0 || Object.values(addresses).some((each) => each.length > 0),
  );
  if (lost && input.observed.interrupted) return null;
  return { atMs, services: Object.fromEntries(evidence.map((each) => [each.name, each.losses])) };
}

function serviceLosses(
  view: Survey,
  { namespace: name, addresses }: EdgeService,
): HostEvidence['services'][string] {
  const none = Object.fromEntries(addresses.map((address) => [address, []]));
  const netns = view.owned.get(name);
  if (netns === undefined) return { all: [absence(view.observed, name)], addresses: none };
  const links = view.pairs.filter(({ namespace }) => namespace.name === name);
  const ways = links.filter((pair) => linkLoss(pair) === null);
  const lo = netns.links.find((link) => link.name === 'lo');
  const all = [
    // One that is up will do, where the host's route goes by it.
    ...(ways.length > 0 ? [] : links.flatMap((pair) => linkLoss(pair) ?? [])),
    ...(links.length > 0 ? [] : [`namespace ${name} has no link`]),
    ...(lo?.up === true ? [] : [`link ${name}/lo is down`]),
  ];
  // What hangs on a link that is gone is gone with it: the link is the reason.
  if (lo === undefined || all.length > 0) return { all, addresses: none };
  const losses = addresses.map(
    (address) => [address, addressLosses(view, { name, lo, ways }, address)] as const,
  );
  return { all: [], addresses: Object.fromEntries(losses) };
}

function absence({ namespaces }: ObservedHost, name: string): string {
  const there = namespaces[name];
  if (there === undefined) return `namespace ${name} does not exist`;
  if (there.state === 'unmounted') return `no namespace is mounted on the name ${name}`;
  return `namespace ${name} was not made by this agent`;
}

function linkLoss({ ends, link, namespace }: Pair): string | null {
  if (ends === null) return `link ${namespace.name}/${link.name} is not whole`;
  if (!ends.host.link.up) return `link ${link.name} is down`;
  return ends.peer.link.up ? null : `link ${namespace.name}/${link.peer} is down`;
}

interface Place {
  name: string;
  lo: ObservedLink;
  ways: readonly Pair[];
}

function addressLosses(view: Survey, { name, lo, ways }: Place, text: string): string[] {
  const own = hostPrefix(text);
  if (!lo.addresses.some((held) => held.address === own)) {
    return [`${text} is not on lo of namespace ${name}`];
  }
  return leadsThere(view.observed, ways, own)
    ? []
    : [`the host has no route to ${text} in ${name}`];
}

/** A route of the host to exactly this address, by a link of that namespace that is up. */
function leadsThere({ root }: ObservedHost, ways: readonly Pair[], own: string): boolean {
  const hosts = ways.flatMap(({ ends }) => (ends === null ? [] : [ends.host.link]));
  return root.routes.some(
    ({ to, ifindex }) => to === own && hosts.some((link) => link.ifindex === ifindex),
  );
}

/** A program of an older tag still filters; what it holds is told from what it should hold. */
function filterLosses({ spec, observed }: Survey): string[] {
  return spec.filters.flatMap(({ interface: name }) => {
    const have = observed.filters.find((filter) => filter.interface === name);
    const why = filterLoss(have);
    return why === null ? [] : [`the filter of ${name} ${why}`];
  });
}

function filterLoss(have: ObservedFilter | undefined): string | null {
  if (have?.ifindex == null) return 'has no interface';
  if (have.attached === null) return 'is not attached';
  if (!have.attached.ours) return 'is another program than ours';
  const { state, detail } = have.contents;
  return state === 'missing' || state === 'edited' ? `is not as filled: ${detail ?? state}` : null;
}
