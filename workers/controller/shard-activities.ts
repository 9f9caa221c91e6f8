/** What runs on `ctl/shard-NNN`: the activities, over what this controller knows and holds. */
import { type BlocklistActivities, createBlocklistActivities } from '../../activities/blocklists';
import { type ClusterActivities, createClusterActivities } from '../../activities/cluster';
import { createRoutingActivities, type RoutingActivities } from '../../activities/routing';
import type { ControllerCluster } from './cluster-port';
import { Feeds, type FeedsDependencies } from './feeds';
import type { ControllerRouting } from './routing-port';

export function createShardActivities(
  cluster: ControllerCluster,
  routing: ControllerRouting,
  feeds: FeedsDependencies,
): ClusterActivities & BlocklistActivities & RoutingActivities {
  return {
    ...createClusterActivities(cluster),
    ...createRoutingActivities(routing),
    ...createBlocklistActivities(new Feeds(feeds)),
  };
}
