/** XDP on interfaces that are not ours: only our bpf_link on them, told by its pin, is. */
import type { ObservedFilter } from '../model/host';
import type { FilterSpec } from '../model/node';
import * as steps from './steps';
import type { Difference, Survey } from './survey';
import type { FindingKind, PlannedStep } from './types';

type Change = { take?: PlannedStep[]; make?: PlannedStep[] };

const difference = (
  kind: FindingKind,
  object: string,
  message: string,
  { take = [], make = [] }: Change = {},
): Difference => ({
  stage: 'filters',
  finding: steps.finding(kind, object, message),
  take,
  make,
});

const inTheWay = (kind: FindingKind, object: string, message: string): Difference => ({
  stage: 'filters',
  finding: steps.conflict(kind, object, message),
  take: [],
  make: [],
});

/** Nothing is attached: what our pin, where there is one, still leads to tells why. */
const detached = (spec: FilterSpec, have: ObservedFilter): Difference => {
  const { interface: name, mode } = spec;
  if (have.pin === null) {
    const make = [steps.attachFilter(name, mode)];
    return difference('filterMissing', name, 'no program is attached', { make });
  }
  const take = [steps.detachFilter(have)];
  if (have.pin.ifindex === 0) {
    return difference('filterMissing', name, 'our link has lost its device', { take });
  }
  const message = `our link is on ifindex ${have.pin.ifindex}, ${name} is ${have.ifindex} now`;
  return difference('ifindexChanged', name, message, { take });
};

/** A program that is exchanged keeps its maps, so this is looked at once it is the right one. */
const contents = (have: ObservedFilter): Difference | null => {
  const { state, detail } = have.contents;
  if (state === 'right' || state === 'unknown') return null;
  const message = detail ?? `its maps are ${state}`;
  return difference('filterContents', have.interface, message, {
    make: [steps.reloadFilter(have)],
  });
};

const attached = (
  filterTag: string,
  spec: FilterSpec,
  have: ObservedFilter,
  program: NonNullable<ObservedFilter['attached']>,
): Difference | null => {
  const { interface: name, mode } = spec;
  if (!program.ours) {
    const message = `program ${program.programId} (tag ${program.tag}) is not ours: detach it`;
    return inTheWay('filterForeign', name, message);
  }
  if (have.pin === null) {
    const message =
      'our program is attached by a link without a pin: end the process that holds it';
    return inTheWay('filterUnpinned', name, message);
  }
  if (program.mode !== mode) {
    const take = [steps.detachFilter(have)];
    return difference('filterOutdated', name, `runs ${program.mode}, not ${mode}`, { take });
  }
  if (program.tag === filterTag) return contents(have);
  const message = `runs tag ${program.tag}; should be ${filterTag}`;
  return difference('filterOutdated', name, message, { make: [steps.replaceFilter(have)] });
};

const wanted = (survey: Survey, spec: FilterSpec): Difference | null => {
  const have = survey.observed.filters.find((filter) => filter.interface === spec.interface);
  if (have?.ifindex == null) {
    return inTheWay('interfaceMissing', spec.interface, 'there is no such interface on this host');
  }
  if (have.attached !== null) return attached(survey.filterTag, spec, have, have.attached);
  return detached(spec, have);
};

const extra = (have: ObservedFilter): Difference =>
  difference('filterExtra', have.interface, 'bears our filter, but is not in the spec', {
    take: [steps.detachFilter(have)],
  });

export const filterDifferences = (survey: Survey): Difference[] => {
  const desired = new Set(survey.spec.filters.map((spec) => spec.interface));
  return [
    ...survey.spec.filters.map((spec) => wanted(survey, spec)).filter((found) => found !== null),
    ...survey.observed.filters
      .filter((have) => have.pin !== null && !desired.has(have.interface))
      .map(extra),
  ];
};
