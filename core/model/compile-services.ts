/** What services make of one node: where each lives, how it is to stand, and what is announced. */
import { type AnycastServiceSpec, type EdgeService, type Stance, STANCES } from './anycast';
import type { Keyed, Stored } from './compile';
import type { Phase } from './edge-spec';
import type { NodeResource } from './node';
import type { Command, NodeRouting, Permits, ServiceTraffic } from './routing';
import type { ServiceValue } from './values';

/** A service with the keys that go with it. */
export interface BoundService {
  service: Stored<ServiceValue>;
  traffic: Keyed<ServiceTraffic>;
  permits: Keyed<Permits>;
}

/** Of the node that the services are bound to. */
export interface ServedNode {
  metadata: NodeResource['metadata'];
  phase: Phase;
  routing: Keyed<NodeRouting>;
}

type Commanded = EdgeService['commanded'];

const ANNOUNCE: Commanded = { stance: 'announce', why: '' };

const worse = (a: Stance, b: Stance): boolean => STANCES.indexOf(a) > STANCES.indexOf(b);

/** The worst of them, with the reasons of all that are as bad. */
const worst = (all: readonly Commanded[]): Commanded => {
  const { stance } = all.reduce((a, b) => (worse(b.stance, a.stance) ? b : a), ANNOUNCE);
  const why = all.filter((each) => each.stance === stance && each.why !== '');
  return { stance, why: why.map((each) => each.why).join('; ') };
};

const ofCommand = (of: string, { stance, reason, by }: Command): Commanded =>
  stance === 'announce' ? ANNOUNCE : { stance, why: `${of}: ${reason} (${by})` };

/** As the weights of the service say. */
export const ofWeights = (
  { regions }: Pick<AnycastServiceSpec, 'regions'>,
  region: string,
): Commanded => {
  if (regions.length === 0) return ANNOUNCE;
  const share = regions.find(({ name }) => name === region);
  if (share === undefined) {
    return { stance: 'withdraw', why: `${region} is none of its regions` };
  }
  return share.weight === 0 ? { stance: 'withdraw', why: `${region} stands by` } : ANNOUNCE;
};

/** Commands of the service stand above its weights; one of a single node above that of its region. */
const ofTraffic = (
  spec: AnycastServiceSpec,
  { name, region }: NodeResource['metadata'],
  traffic: ServiceTraffic | null,
): Commanded => {
  const [ofNode, ofRegion] = [traffic?.nodes?.[name], traffic?.regions[region]];
  if (ofNode !== undefined) return ofCommand(`commanded of ${name}`, ofNode);
  return ofRegion === undefined
    ? ofWeights(spec, region)
    : ofCommand(`commanded of ${region}`, ofRegion);
};

/**
 * A node that is not whole yet announces nothing. How far a drain or a quarantine has come, the command
 * to the node says, and not its phase.
 */
const ofNode = ({ metadata, phase, routing }: ServedNode): Commanded => {
  if (phase === 'onboarding') {
    return { stance: 'withdraw', why: `${metadata.name} is being onboarded` };
  }
  return routing === null
    ? ANNOUNCE
    : ofCommand(`commanded of ${metadata.name}`, routing.value.command);
};

/** What it is commanded to be on a node, whatever its proof says. */
export const commandedOf = (
  spec: AnycastServiceSpec,
  node: ServedNode,
  traffic: ServiceTraffic | null,
): Commanded => worst([ofTraffic(spec, node.metadata, traffic), ofNode(node)]);

/** Half the greatest weight: the own AS number once more in the path; a quarter: twice. */
const prependOf = ({ regions, prepend }: AnycastServiceSpec, region: string): number => {
  const weight = regions.find(({ name }) => name === region)?.weight ?? 0;
  if (weight === 0) return prepend;
  const greatest = Math.max(...regions.map((share) => share.weight));
  return prepend + Math.floor(Math.log2(greatest / weight));
};

const serviceOf = ({ service, traffic, permits }: BoundService, node: ServedNode): EdgeService => {
  const { metadata, spec } = service.value.resource;
  const { namespace, prefixes, addresses, lastAnnouncer, health, communities } = spec;
  return {
    name: metadata.name,
    namespace,
    prefixes,
    addresses,
    commanded: commandedOf(spec, node, traffic?.value ?? null),
    permit: permits?.value.holders[node.metadata.name]?.state === 'held',
    lastAnnouncer,
    health,
    communities,
    prepend: prependOf(spec, node.metadata.region),
  };
};

export const servicesOf = (bound: readonly BoundService[], node: ServedNode): EdgeService[] =>
  bound.map((each) => serviceOf(each, node)).sort((a, b) => (a.name < b.name ? -1 : 1));
