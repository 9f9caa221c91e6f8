/** How much is wanted, and how feeds are, for Prometheus. */
import { shardOf } from '../../core/ring/shard';
import type { DesiredState } from './desired';
import type { Fleet } from './fleet';
import { isOverdue } from './feeds';
import type { ControllerMetrics } from './metrics';
import type { Shards } from './shards';

export function gaugeDesired(metrics: ControllerMetrics, desired: DesiredState): void {
  const { blocklists, blocks } = desired.bindings();
  metrics.nodes.set(desired.nodeCount);
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

/** One that is not ours any more is told by its new owner alone. */
export function gaugeServices(
  metrics: ControllerMetrics,
  { desired, edges, shards }: { desired: DesiredState; edges: Fleet; shards: Shards },
): void {
  for (const each of ['serviceAnnouncers', 'serviceFloor', 'servicePermits'] as const) {
    metrics[each].reset();
  }
  for (const service of desired.serviceNames()) {
    const spec = desired.service(service)?.value.resource.spec;
    if (spec === undefined || !shards.holds(shardOf(service))) continue;
    const bound = desired.selected(spec.nodes);
    const announcers = bound.filter((node) => edges.announces(node, service)).length;
    const holders = Object.values(desired.permits(service)?.value.holders ?? {});
    metrics.serviceAnnouncers.set({ service }, announcers);
    metrics.serviceFloor.set({ service }, spec.minAnnouncers);
    metrics.servicePermits.set({ service }, holders.length);
  }
}
