/**
 * The host's routes to the addresses of services, through the veths into their namespaces. Unlike in a
 * namespace of ours, others route here as well: ours are those with our rtm_protocol that go by a link
 * of ours, or lead to what is ours to lead to.
 */
import type { ObservedRoute } from '../model/host';
import { MARK } from '../model/ids';
import type { Way } from '../model/service-ways';
import { extraLinks } from './links';
import { defaultMetric } from './routes';
import * as steps from './steps';
import type { Difference, Survey } from './survey';
import type { Finding, PlannedStep } from './types';
import { wantsOf, type WantedAddress } from './wants';

/** A wanted route, with the number of its link. */
interface Wanted extends Way {
  to: string;
  ifindex: number;
}

const objectOf = (to: string): string => `host: route ${to}`;

const difference = (finding: Finding, take: PlannedStep[], make: PlannedStep[]): Difference => ({
  stage: 'routes',
  finding,
  take,
  make,
});

/** Those whose link is there: without it, the link is the finding. */
const wantedRoutes = (survey: Survey): Wanted[] =>
  wantsOf(survey.spec).services.flatMap(({ namespace, prefix, way }) => {
    const pair = survey.pairsOf.get(namespace)?.find(({ link }) => link === way?.link);
    if (way === null || pair?.ends == null) return [];
    return [{ ...way, to: prefix, ifindex: pair.ends.host.link.ifindex }];
  });

const numbers = (survey: Survey): { ours: Set<number>; going: Set<number> } => {
  const extra = extraLinks(survey);
  const marked = [...extra, ...survey.pairs.flatMap(({ strays }) => strays)];
  const inRoot = (ends: typeof extra): number[] =>
    ends.flatMap(({ namespace, link }) => (namespace === null ? [link.ifindex] : []));
  const whole = survey.pairs.flatMap(({ ends }) => (ends === null ? [] : [ends.host]));
  return {
    ours: new Set(inRoot([...marked, ...whole])),
    going: new Set(survey.stages.includes('links') ? inRoot(marked) : []),
  };
};

const isIt = ({ to, via, ifindex }: Wanted, have: ObservedRoute): boolean =>
  have.to === to && have.via === via && have.ifindex === ifindex;

const missing = (wanted: Wanted, strangers: readonly ObservedRoute[]): Difference => {
  const { to, via, link } = wanted;
  const stranger = strangers.find((route) => route.to === to && route.metric === defaultMetric(to));
  if (stranger !== undefined) {
    const message = `goes via ${stranger.via ?? 'a link'} by a route that is not ours: delete it`;
    return difference(steps.conflict('routeMissing', objectOf(to), message), [], []);
  }
  const message = `there is no route via ${via} on ${link.name}`;
  const found = steps.finding('routeMissing', objectOf(to), message);
  return difference(found, [], [steps.addRoute(null, to, via)]);
};

/** A spec that was checked as one of a set has a way to each (checks). */
const wayless = ({ namespace, prefix, way }: WantedAddress): Difference[] => {
  if (way !== null) return [];
  const message = `no link of namespace ${namespace.name} has such addresses at both of its ends`;
  return [difference(steps.conflict('routeMissing', objectOf(prefix), message), [], [])];
};

const extra = (survey: Survey, { to, via }: ObservedRoute): Difference[] => {
  if (via === null) return [];
  const found = steps.finding('routeExtra', objectOf(to), `via ${via}: not in the spec`);
  const take = survey.observed.interrupted ? [] : [steps.deleteRoute(null, to, via)];
  return [difference(found, take, [])];
};

/**
 * Who announces more than it serves has to drop the rest (RFC 4632 §5.1): sent on by the default route,
 * it would come back, and go round until its TTL ends. Whatever else leads there will do as well.
 */
const discardDifferences = (survey: Survey): Difference[] => {
  const { routes } = survey.observed.root;
  const { discards } = wantsOf(survey.spec);
  const surplus = routes.filter(
    ({ to, discards: drops, protocol }) =>
      drops && protocol === MARK.protocol && !discards.includes(to),
  );
  return [
    ...discards
      .filter((prefix) => !routes.some(({ to }) => to === prefix))
      .map((to) => {
        const message = 'what is not served of it would be sent back';
        const found = steps.finding('routeMissing', objectOf(to), message);
        return difference(found, [], [steps.addDiscard(to)]);
      }),
    ...surplus.map(({ to }) => {
      const take = survey.observed.interrupted ? [] : [steps.deleteDiscard(to)];
      const message = 'discards what nobody announces here';
      return difference(steps.finding('routeExtra', objectOf(to), message), take, []);
    }),
  ];
};

const addressRouteDifferences = (survey: Survey): Difference[] => {
  const { routes } = survey.observed.root;
  const { services } = wantsOf(survey.spec);
  const marked = routes.filter(({ protocol, discards }) => protocol === MARK.protocol && !discards);
  if (services.length === 0 && marked.length === 0) return [];
  const wanted = wantedRoutes(survey);
  const { ours, going } = numbers(survey);
  const isOurs = ({ ifindex, to }: ObservedRoute): boolean =>
    (ifindex !== null && ours.has(ifindex)) || wanted.some((route) => route.to === to);
  const mine = new Set(marked.filter(isOurs));
  const strangers = routes.filter((route) => !mine.has(route));
  const surplus = [...mine].filter(
    (have) => !going.has(have.ifindex ?? 0) && !wanted.some((route) => isIt(route, have)),
  );
  return [
    ...services.flatMap(wayless),
    ...wanted
      .filter((route) => !routes.some((have) => isIt(route, have)))
      .map((route) => missing(route, strangers)),
    ...surplus.flatMap((route) => extra(survey, route)),
  ];
};

export const hostRouteDifferences = (survey: Survey): Difference[] => [
  ...addressRouteDifferences(survey),
  ...discardDifferences(survey),
];
