/** Layout of etcd below `/aether/v1/` (design §3). One function a key, so that a typo can't hide. */
const ROOT = '/aether/v1/';

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
  freeze: `${ROOT}freeze`,
  cluster: `${ROOT}cluster`,
  controller: (id: string): string => `${ROOT}controllers/${id}`,
  controllers: `${ROOT}controllers/`,
  owner: (shard: number): string => `${ROOT}own/${String(shard).padStart(3, '0')}`,
  owners: `${ROOT}own/`,
  heartbeat: (id: string): string => `${ROOT}heartbeat/${id}`,
} as const;

/** Last path segment of a key below one of the collections above. */
export const lastSegment = (key: string): string => key.slice(key.lastIndexOf('/') + 1);
