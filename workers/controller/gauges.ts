/** How much is wanted, and how feeds are, for Prometheus. */
import type { DesiredState } from './desired';
import { isOverdue } from './feeds';
import type { ControllerMetrics } from './metrics';

export function gaugeDesired(metrics: ControllerMetrics, desired: DesiredState): void {
  const { blocklists, blocks } = desired.bindings();
  metrics.nodes.set(desired.names().length);
  metrics.blocklists.set(blocklists.length);
  metrics.blocks.set(blocks.length);
  metrics.unreadableKeys.set(desired.problems.size);
  const feeds = blocklists.flatMap(({ value: { resource } }) => {
    const { feed } = resource.spec;
    return feed ? [{ feed, state: desired.feed(resource.metadata.name)?.value ?? null }] : [];
  });
  const notBelieved = feeds.filter(({ state }) => state !== null && state.problem !== null);
  metrics.feedsNotBelieved.set(notBelieved.length);
  const nowMs = Date.now();
  metrics.feedsOverdue.set(feeds.filter(({ feed, state }) => isOverdue(feed, state, nowMs)).length);
}
