/** Fence a of design §3: of two controllers that both believe they own a shard, one is refused. */
import type { OwnerFence } from '../model/edge-spec';

/**
 * Whether `heard` may command an edge that holds `held`.
 *
 * An incarnation is raised only by an audited restore, after which revisions and shards may begin
 * again. Within one, a node's shard never changes, so another shard's owner has no say here.
 */
export function compareFence(
  held: OwnerFence | null,
  heard: OwnerFence,
): 'raises' | 'same' | 'stale' {
  if (held === null || heard.clusterIncarnation > held.clusterIncarnation) return 'raises';
  if (heard.clusterIncarnation < held.clusterIncarnation) return 'stale';
  if (heard.shard !== held.shard || heard.ownerRevision < held.ownerRevision) return 'stale';
  return heard.ownerRevision > held.ownerRevision ? 'raises' : 'same';
}
