/** Routes of our namespaces, by our rtm_protocol; what others added is left alone. */
import type { ObservedNetns, ObservedRoute } from '../model/host';
import { MARK } from '../model/ids';
import type { NamespaceSpec, RouteSpec } from '../model/node';
import { contains, parseAddress, parsePrefix } from '../model/prefix';
import { doomedNamespaces } from './namespaces';
import type { Pair } from './pairs';
import * as steps from './steps';
import type { Difference, Survey } from './survey';
import type { Finding, PlannedStep } from './types';

const isOurs = ({ protocol }: ObservedRoute): boolean => protocol === MARK.protocol;

const difference = (finding: Finding, take: PlannedStep[], make: PlannedStep[]): Difference => ({
  stage: 'routes',
  finding,
  take,
  make,
});

/** What the kernel fills in where no metric is given (IP6_RT_PRIO_USER); ours are made without. */
export const defaultMetric = (to: string): number => (to.includes(':') ? 1024 : 0);

/** The kernel holds one route for a destination and a metric. */
const occupant = (netns: ObservedNetns, { to }: RouteSpec): ObservedRoute | undefined =>
  netns.routes.find(
    (route) => route.to === to && route.metric === defaultMetric(to) && !isOurs(route),
  );

const missing = (netns: ObservedNetns, namespace: string, route: RouteSpec): Difference => {
  const { to, via } = route;
  const object = `${namespace}: route ${to}`;
  const stranger = occupant(netns, route);
  if (stranger !== undefined) {
    const message = `goes via ${stranger.via ?? 'a link'} by a route that is not ours: delete it`;
    return difference(steps.conflict('routeMissing', object, message), [], []);
  }
  const found = steps.finding('routeMissing', object, `there is no route via ${via}`);
  return difference(found, [], [steps.addRoute(namespace, to, via)]);
};

const extra = (survey: Survey, namespace: string, { to, via }: ObservedRoute): Difference[] => {
  if (via === null) return [];
  const found = steps.finding(
    'routeExtra',
    `${namespace}: route ${to}`,
    `via ${via}: not in the spec`,
  );
  const take = survey.observed.interrupted ? [] : [steps.deleteRoute(namespace, to, via)];
  return [difference(found, take, [])];
};

/** Whether the link that leads to the gateway is there: without it, the link is the finding. */
const hasItsLink = (pairs: readonly Pair[], { via }: RouteSpec): boolean => {
  const gateway = parseAddress(via);
  return pairs.some(({ ends, link }) => {
    if (ends === null || gateway === null) return false;
    return link.addresses.some((address) => {
      const prefix = parsePrefix(address);
      return prefix !== null && contains(prefix, gateway);
    });
  });
};

const present = (netns: ObservedNetns, { to, via }: RouteSpec): boolean =>
  netns.routes.some((route) => route.to === to && route.via === via);

const ofNamespace = (
  survey: Survey,
  name: string,
  netns: ObservedNetns,
  spec: NamespaceSpec | undefined,
): Difference[] => {
  const wanted = spec?.routes ?? [];
  if (wanted.length === 0 && netns.routes.length === 0) return [];
  const pairs = spec === undefined ? [] : (survey.pairsOf.get(spec) ?? []);
  const surplus = netns.routes.filter(
    (have) => isOurs(have) && !wanted.some(({ to, via }) => have.to === to && have.via === via),
  );
  return [
    ...wanted
      .filter((route) => !present(netns, route) && hasItsLink(pairs, route))
      .map((route) => missing(netns, name, route)),
    ...surplus.flatMap((route) => extra(survey, name, route)),
  ];
};

export const routeDifferences = (survey: Survey): Difference[] => {
  const specs = new Map(survey.spec.namespaces.map((spec) => [spec.name, spec]));
  const doomed = doomedNamespaces(survey);
  return [...survey.owned]
    .filter(([name]) => !doomed.has(name))
    .flatMap(([name, netns]) => ofNamespace(survey, name, netns, specs.get(name)));
};
