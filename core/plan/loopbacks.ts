/** `lo` of our namespaces: where the addresses of services live. It is the kernel's; raised, never marked. */
import { doomedNamespaces } from './namespaces';
import * as steps from './steps';
import type { Difference, Located, Survey } from './survey';
import { wantsOf } from './wants';

/** Of the namespaces of ours that stay. */
export const loopbacksOf = (survey: Survey): Located[] => {
  const doomed = doomedNamespaces(survey);
  return [...survey.owned].flatMap(([namespace, netns]) => {
    const link = netns.links.find(({ name }) => name === 'lo');
    return link === undefined || doomed.has(namespace) ? [] : [{ namespace, netns, link }];
  });
};

/** A namespace is born with `lo` down, and its addresses are nobody's until it is up. */
export const loopbackDifferences = (survey: Survey): Difference[] => {
  const { loopbacks } = wantsOf(survey.spec);
  if (loopbacks.size === 0) return [];
  return loopbacksOf(survey).flatMap(({ namespace, link }) => {
    if (namespace === null || link.up || !loopbacks.has(namespace)) return [];
    const found = steps.finding('linkDown', `${namespace}/lo`, 'is down');
    return [{ stage: 'links', finding: found, take: [], make: [steps.raiseLoopback(namespace)] }];
  });
};
