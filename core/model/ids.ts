/**
 * Names that cross process boundaries: workflow ids, task queues, shards. They are contracts with
 * histories that already exist, so they are built here and nowhere else.
 */

/** Name of a node, a service or a controller: a DNS label (RFC 1123), at most 63 characters. */
export type NodeName = string;

export const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Number of virtual shards a cluster is made with (docs/decisions/0003). */
export const SHARD_COUNT = 256;

export const WORKFLOW_QUEUE = 'aether-wf';

export const edgeQueue = (node: NodeName): string => `edge/${node}`;

/** Queue of activities bound to the controller that owns `shard` (0 … 255). */
export const shardQueue = (shard: number): string => `ctl/shard-${String(shard).padStart(3, '0')}`;

export const workflowId = {
  lifecycle: (node: NodeName): string => `node/${node}`,
  onboard: (node: NodeName): string => `node/${node}/onboard`,
  repair: (node: NodeName): string => `node/${node}/repair`,
  decommission: (node: NodeName): string => `node/${node}/decommission`,
  audit: (): string => 'audit',
  drain: (node: NodeName): string => `node/${node}/drain`,
  quarantine: (node: NodeName): string => `node/${node}/quarantine`,
  drainService: (service: string): string => `service/${service}/drain`,
  failover: (service: string): string => `service/${service}/failover`,
  refreshBlocklist: (blocklist: string): string => `blocklist/${blocklist}/refresh`,
} as const;

/** Id of the Temporal Schedule that starts `auditNodes`. */
export const AUDIT_SCHEDULE = 'audit';

/** Id of the Schedule that refreshes the feed of a blocklist. */
export const feedSchedule = (blocklist: string): string => `${FEED_SCHEDULES}${blocklist}`;
export const FEED_SCHEDULES = 'blocklist/';

/** Search attributes of the workflows, all of type Keyword; registered by set-up. */
export const SEARCH_ATTRIBUTES = [
  'AetherNode',
  'AetherRegion',
  'AetherPhase',
  'AetherState',
  'AetherService',
] as const;

/** The kernel marks of design §3. Both numbers lie in ranges no routing daemon has registered. */
export const MARK = {
  /** `rtm_protocol` of routes and IFA_PROTO of addresses that are ours (0xAE). */
  protocol: 174,
  /** `rtm_protocol` of routes learnt by BGP (0xAF): apart, so that neither is taken for the other. */
  routeProtocol: 175,
  /** Prefix of the link alias (IFLA_IFALIAS) of every link that we made. */
  aliasPrefix: 'aether:',
  /** Directory below the bpf file system that holds our pins. */
  pinDirectory: 'aether',
} as const;

/** Alias of a link of `node`: `aether:<node>/<namespace>/<host side name>#<host|peer>`. */
export const linkAlias = (
  node: NodeName,
  namespace: string,
  link: string,
  side: 'host' | 'peer',
): string => `${MARK.aliasPrefix}${node}/${namespace}/${link}#${side}`;
