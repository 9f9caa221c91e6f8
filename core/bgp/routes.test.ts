import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planRoutes, ROUTE_METRIC, type ListedRoute } from './routes';

const listed = (to: string, hops: string[], more: Partial<ListedRoute> = {}): ListedRoute => ({
  to,
  hops,
  protocol: 175,
  metric: ROUTE_METRIC,
  ...more,
});

const never = (): boolean => false;

test('what lacks is added, what differs replaced, what is over deleted, and the order of hops is none', () => {
  const wanted = new Map([
    ['10.1.0.0/16', ['10.0.0.3', '10.0.0.2']],
    ['10.2.0.0/16', ['10.0.0.2']],
    ['10.3.0.0/16', ['10.0.0.2', '10.0.0.2']],
  ]);
  const present = [
    listed('10.1.0.0/16', ['10.0.0.2', '10.0.0.3']),
    listed('10.2.0.0/16', ['10.0.0.9']),
    listed('10.4.0.0/16', ['10.0.0.2']),
  ];
  const { actions, conflicts } = planRoutes(wanted, present, never);
  assert.deepEqual(
    actions.map(({ kind, route }) => [kind, route.to, route.hops]),
    [
      ['replace', '10.2.0.0/16', ['10.0.0.2']],
      ['add', '10.3.0.0/16', ['10.0.0.2']],
      ['delete', '10.4.0.0/16', ['10.0.0.2']],
    ],
  );
  assert.deepEqual(conflicts, []);
  assert.deepEqual(planRoutes(new Map(), present, () => true).actions, []);
});

test("another one's route is never touched, and in the way only with the same metric", () => {
  const wanted = new Map([['10.1.0.0/16', ['10.0.0.2']]]);
  const elsewhere = [listed('10.1.0.0/16', ['10.0.0.9'], { protocol: 4, metric: 0 })];
  assert.deepEqual(
    planRoutes(wanted, elsewhere, never).actions.map(({ kind }) => kind),
    ['add'],
  );
  const there = [listed('10.1.0.0/16', ['10.0.0.9'], { protocol: 4 })];
  const { actions, conflicts } = planRoutes(wanted, there, never);
  assert.deepEqual(actions, []);
  assert.match(conflicts[0] ?? '', /another one's route to 10.1.0.0\/16/);
});

test('of ours with another metric, or twice, one is left', () => {
  const wanted = new Map([['10.1.0.0/16', ['10.0.0.2']]]);
  const present = [
    listed('10.1.0.0/16', ['10.0.0.2'], { metric: 7 }),
    listed('10.1.0.0/16', ['10.0.0.2']),
  ];
  const { actions } = planRoutes(wanted, present, never);
  assert.deepEqual(
    actions.map(({ kind, route }) => [kind, (route as ListedRoute).metric]),
    [['delete', 7]],
  );
});
