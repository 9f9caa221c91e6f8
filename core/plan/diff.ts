/** Every difference between a spec and a host, class by class. */
import { addressDifferences } from './addresses';
import { filterDifferences } from './filters';
import { hostRouteDifferences } from './host-routes';
import { linkDifferences } from './links';
import { namespaceDifferences } from './namespaces';
import { routeDifferences } from './routes';
import { survey, type Difference, type Input, type Survey } from './survey';
import { sysctlDifferences } from './sysctls';
import { STAGES, type Finding, type Stage } from './types';

const CLASSES: Record<Stage, (survey: Survey) => Difference[]> = {
  namespaces: namespaceDifferences,
  links: linkDifferences,
  addresses: addressDifferences,
  routes: (view) => [...routeDifferences(view), ...hostRouteDifferences(view)],
  sysctls: sysctlDifferences,
  filters: filterDifferences,
};

export const differencesOf = (stage: Stage, view: Survey): Difference[] => CLASSES[stage](view);

/**
 * Asked for some stages only, what the stages before them lack counts as well, since nothing can
 * stand on it; what is too much counts in the stages themselves.
 */
const matters = (stages: readonly Stage[], { stage, finding }: Difference): boolean => {
  if (stages.includes(stage)) return true;
  const last = Math.max(...stages.map((name) => STAGES.indexOf(name)));
  return !finding.kind.endsWith('Extra') && STAGES.indexOf(stage) < last;
};

/**
 * What is wrong with the host. Only roots are named: a missing link, not the addresses that are
 * missing with it.
 */
export const findingsOf = (view: Survey): Finding[] =>
  STAGES.flatMap((stage) => differencesOf(stage, view))
    .filter((difference) => matters(view.stages, difference))
    .map(({ finding }) => finding);

export const diff = (input: Input): Finding[] => findingsOf(survey(input));
