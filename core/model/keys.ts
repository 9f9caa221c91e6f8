/** Layout of etcd below `/aether/v1/` (design §3). One function a key, so that a typo can't hide. */
const ROOT = '/aether/v1/';

/** Apart from the rest, which every controller watches: half a megabyte each, read one by one. */
const CHUNKS = '/aether/chunks/';

export const keys = {
  root: ROOT,
  node: (id: string): string => `${ROOT}nodes/${id}`,
  nodes: `${ROOT}nodes/`,
  phase: (id: string): string => `${ROOT}phases/${id}`,
  phases: `${ROOT}phases/`,
  override: (id: string): string => `${ROOT}overrides/${id}`,
  overrides: `${ROOT}overrides/`,
  /** Rewritten by every apply: what was checked as a set is written as that set, or refused. */
  generation: `${ROOT}generation`,
  blocklist: (name: string): string => `${ROOT}blocklists/${name}`,
  blocklists: `${ROOT}blocklists/`,
  /** How the feed of a blocklist is. */
  feed: (name: string): string => `${ROOT}feeds/${name}`,
  feeds: `${ROOT}feeds/`,
  /** By canonical prefix. */
  block: (prefix: string): string => `${ROOT}blocks/${prefix.replace('/', '_')}`,
  blocks: `${ROOT}blocks/`,
  /** Rewritten when something is bound to these nodes no more; `id` names the selector. */
  unbound: (id: string): string => `${ROOT}unbound/${id}`,
  unbounds: `${ROOT}unbound/`,
  service: (name: string): string => `${ROOT}services/${name}`,
  services: `${ROOT}services/`,
  /** What is commanded of all services on a node, and of a service by region. */
  routing: (id: string): string => `${ROOT}routing/${id}`,
  routings: `${ROOT}routing/`,
  traffic: (service: string): string => `${ROOT}traffic/${service}`,
  traffics: `${ROOT}traffic/`,
  /** Who may withdraw a service by itself. */
  permits: (service: string): string => `${ROOT}permits/${service}`,
  allPermits: `${ROOT}permits/`,
  /** Rewritten by every command that takes announcers away: floors are checked against one picture. */
  governor: `${ROOT}governor`,
  chunk: (sha256: string): string => `${CHUNKS}${sha256}`,
  chunks: CHUNKS,
  /** Apart from what is watched: 32 bytes with which controllers seal the tasks of edges. */
  gatewaySecret: '/aether/secrets/gateway',
  /** The newest certificate that an edge has shown: older ones are of no use. */
  certificate: (node: string): string => `${ROOT}certificates/${node}`,
  certificates: `${ROOT}certificates/`,
  /** A node of this name was removed; counts while there is none. */
  removed: (node: string): string => `${ROOT}removed/${node}`,
  removals: `${ROOT}removed/`,
  freeze: `${ROOT}freeze`,
  cluster: `${ROOT}cluster`,
  controller: (id: string): string => `${ROOT}controllers/${id}`,
  controllers: `${ROOT}controllers/`,
  owner: (shard: number): string => `${ROOT}own/${String(shard).padStart(3, '0')}`,
  owners: `${ROOT}own/`,
  /** The map of shards to controllers; its mod revision is the epoch. */
  ring: `${ROOT}ring`,
  /** What the last maps have moved; written together with the map. */
  movements: `${ROOT}movements`,
  /** Who is ready to take a shard over. */
  warm: (shard: number): string => `${ROOT}warm/${String(shard).padStart(3, '0')}`,
  warms: `${ROOT}warm/`,
  heartbeat: (id: string): string => `${ROOT}heartbeat/${id}`,
} as const;

/** Last path segment of a key below one of the collections above. */
export const lastSegment = (key: string): string => key.slice(key.lastIndexOf('/') + 1);
