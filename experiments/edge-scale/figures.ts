/** What is claimed of two thousand edges; the rest of what was measured is in the details of the results. */
import type { Figure } from '../common/figures';
import type { Scale } from './measure';

export function figuresOf({
  form,
  onboarding,
  rest,
  memory,
  pushes,
  losses,
  storms,
}: Scale): Figure[] {
  const { edges } = form;
  const figure = (claim: string, unit: string, bar: Figure['bar'], samples: number[]): Figure => ({
    claim: `${edges} edges: ${claim}`,
    unit,
    bar,
    samples,
    peer: null,
  });
  return [
    figure(
      'all onboarded by workflows, from the first declaration on',
      's',
      { measure: 'max', atMost: 1_200 },
      [onboarding.seconds],
    ),
    figure(
      "back with an owner after their controller's kill -9",
      's',
      { measure: 'median', atMost: 20 },
      losses.map(({ seconds }) => seconds),
    ),
    figure('memory of its controller for each edge', 'KB', { measure: 'max', atMost: 150 }, [
      memory.kbPerEdge,
    ]),
    figure('CPU of each controller at rest', '%', { measure: 'max', atMost: 5 }, rest.cpuPercent),
    figure(
      'one change for all: accepted and verified by every edge',
      's',
      { measure: 'max', atMost: 30 },
      pushes.map(({ seconds }) => seconds),
    ),
    figure(
      'one drift each at the same moment: all repaired',
      's',
      { measure: 'max', atMost: 300 },
      storms.map(({ repairedSeconds }) => repairedSeconds),
    ),
    figure(
      'one drift each at the same moment: repairs that are not on record',
      'repairs',
      { measure: 'max', atMost: 0 },
      storms.map(({ notRecorded }) => notRecorded),
    ),
    figure(
      'one drift each at the same moment: state transitions of Temporal for each',
      'transitions',
      { measure: 'max', atMost: 40 },
      storms.map(({ totals }) => totals.stateTransitions / edges),
    ),
  ];
}
