import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { DesiredState } from './desired';
import { FeedSchedules } from './feed-schedules';
import { Handoff } from './handoff';

/** A blocklist with a feed, and a Temporal to which there is no way yet. */
function world(t: TestContext) {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const state = { ours: true };
  const spec = { feed: { url: 'https://feeds.example/list', refreshMs: 60_000 } };
  const desired = {
    feedNames: () => ['botnet'],
    blocklist: () => ({ value: { resource: { spec } } }),
  } as unknown as DesiredState;
  const handoff = new Handoff({
    signal: stop.signal,
    ready: () => new Promise(() => undefined),
    onRetry: () => undefined,
    onDone: () => undefined,
  });
  const client = (): never => assert.fail('there is no way');
  const feeds = new FeedSchedules({ desired, owns: () => state.ours, handoff, client });
  return { state, feeds, handoff };
}

test('a Schedule that waits for Temporal is its next owner’s to make', (t) => {
  const { state, feeds, handoff } = world(t);
  feeds.check();
  assert.equal(handoff.waiting, 1);
  state.ours = false;
  feeds.check();
  assert.equal(handoff.waiting, 0);
  feeds.check();
  state.ours = true;
  feeds.check();
  assert.equal(handoff.waiting, 1, 'and ours again once it is back');
});
