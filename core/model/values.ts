/**
 * What the keys of etcd hold (`keys.ts`). Every reader parses by these, so a value written by another
 * version or by hand is an error with a place, never a surprise further on. What is wanted of edges is read to the
 * letter; of what says how the cluster is, fields that are not known here are passed over (decision 0178).
 */
import { z } from 'zod';
import { STANCES } from './anycast';
import { PHASES, type EdgeSpec } from './edge-spec';
import { canonicalJson } from './hash';
import type { BlockValue } from './blocklist';
import type { NodeRouting, Permits, ServiceTraffic } from './routing';
import { SHARD_COUNT } from './ids';
import { normalisedNode, specParts } from './schema';
import { edgeService, normalisedAnycast } from './schema-anycast';
import { normalisedBlocklist } from './schema-blocklist';
import { labelMap } from './schema-parts';

/** `nodes/<id>`. `deletionRevision`: the revision that was asked to be deleted, else null. */
const nodeValue = z.strictObject({
  resource: normalisedNode,
  deletionRevision: z.int().positive().nullable(),
});
export type NodeValue = z.infer<typeof nodeValue>;

/** `phases/<id>`, written by an activity of `nodeLifecycle` alone. */
const phaseValue = z.strictObject({ phase: z.enum(PHASES) });
export type PhaseValue = z.infer<typeof phaseValue>;

/** `freeze` (all nodes) and `overrides/<id>` (one node): overwritten, never deleted. */
const freezeValue = z.strictObject({
  frozen: z.boolean(),
  reason: z.string(),
  by: z.string(),
  atMs: z.int().nonnegative(),
});
export type FreezeValue = z.infer<typeof freezeValue>;

/** `cluster`: made once; the incarnation is raised only by an explicit restore. */
const clusterValue = z.object({
  incarnation: z.int().positive(),
  shardCount: z.int().positive(),
});
export type ClusterValue = z.infer<typeof clusterValue>;

/** `own/<shard>`, on the controller's lease. */
const ownerValue = z.object({ controller: z.string().min(1) });
export type OwnerValue = z.infer<typeof ownerValue>;

const hostAndPort = z
  .string()
  .regex(/^\S+:\d{1,5}$/)
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 0xffff, {
    error: 'its port is above 65535',
  });

/** `controllers/<id>`, on the controller's lease (`Registration` in core/ring/types.ts). */
const controllerValue = z.object({
  boot: z.string().min(1),
  weight: z.int().positive(),
  draining: z.boolean(),
  edgeAddress: hostAndPort,
  gossipAddress: hostAndPort.nullable(),
  adminAddress: hostAndPort.nullable(),
});
export type ControllerValue = z.infer<typeof controllerValue>;

/** `ring` (`RingMap` in core/ring/types.ts); its mod revision is the epoch. */
const ringValue = z
  .object({
    members: z.array(z.object({ id: z.string().min(1), weight: z.int().positive() })).readonly(),
    owners: z.array(z.int().nonnegative()).length(SHARD_COUNT).readonly(),
  })
  .refine(({ members, owners }) => owners.every((owner) => owner < members.length), {
    error: 'an owner is none of the members',
  });
export type RingValue = z.infer<typeof ringValue>;

/** `movements`: of the last maps, the oldest first. `epoch` null: that of the write, as this key's own mod revision says. */
const movementsValue = z.object({
  changes: z.array(
    z.object({
      epoch: z.int().positive().nullable(),
      atMs: z.int().nonnegative(),
      moves: z.array(
        z.object({
          from: z.string().nullable(),
          to: z.string(),
          shards: z.int().positive(),
        }),
      ),
    }),
  ),
});
export type MovementsValue = z.infer<typeof movementsValue>;

/** `warm/<shard>`, on the lease of who is about to own it: it is ready since this epoch of the map. */
const warmValue = z.object({ controller: z.string().min(1), epoch: z.int().positive() });
export type WarmValue = z.infer<typeof warmValue>;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const blobRef = z.strictObject({
  sha256,
  count: z.int().nonnegative(),
  chunks: z.array(z.strictObject({ sha256, bytes: z.int().positive() })),
});

/** `blocklists/<name>`. `blob`: all that it blocks for good; null where that is nothing. */
const blocklistValue = z.strictObject({ resource: normalisedBlocklist, blob: blobRef.nullable() });
export type BlocklistValue = z.infer<typeof blocklistValue>;

const atMs = z.int().nonnegative();

/**
 * `feeds/<name>`: how the feed of a blocklist is. A key of its own: what is written at each try must
 * not move the specs of all the nodes that the list is bound to.
 */
const feedValue = z.strictObject({
  /** Where `list` came from. */
  url: z.string(),
  /** What the feed held when it was last believed; null = never. */
  list: blobRef.nullable(),
  /** Of that answer, for a conditional request. */
  etag: z.string().nullable(),
  lastGoodAtMs: atMs.nullable(),
  lastTryAtMs: atMs,
  /** Why the last try was not believed; null = it was. */
  problem: z.string().nullable(),
  /** Lines that were no prefix, and what else was odd about what came last. */
  notes: z.array(z.string()),
});
export type FeedValue = z.infer<typeof feedValue>;

/** `blocks/<id>`. */
const blockValue = z.strictObject({
  prefix: specParts.prefix,
  reason: z.string(),
  by: z.string(),
  atMs,
  untilMs: atMs.nullable(),
  nodes: labelMap.nullable(),
});

/** `unbound/<id>`: something that these nodes were bound to is gone, or has another selector now. */
const unboundValue = z.strictObject({ nodes: labelMap.nullable() });
export type UnboundValue = z.infer<typeof unboundValue>;

/** `services/<name>`. */
const serviceValue = z.strictObject({ resource: normalisedAnycast });
export type ServiceValue = z.infer<typeof serviceValue>;

const command = z.strictObject({
  stance: z.enum(STANCES),
  reason: z.string(),
  by: z.string(),
  atMs,
});

/** `routing/<node>`. */
const nodeRouting = z.strictObject({ command });

/** `traffic/<service>`. */
const serviceTraffic = z.strictObject({
  regions: z.record(specParts.node, command),
  nodes: z.record(specParts.node, command).exactOptional(),
});

/** `permits/<service>`. */
const permits = z.strictObject({
  holders: z.record(specParts.node, z.strictObject({ state: z.enum(['held', 'returning']) })),
});

/** `certificates/<node>`: when the newest one that its edge has shown was issued. */
const certificateValue = z.object({
  issuedAtMs: atMs,
  /** Of those that it has shown on a stream; a Worker may be ahead of it. */
  streamIssuedAtMs: atMs,
});
export type CertificateValue = z.infer<typeof certificateValue>;

/** `removed/<node>`. */
const removedValue = z.object({ atMs });
export type RemovedValue = z.infer<typeof removedValue>;

/** What goes down the edge stream and lies on the edge's disk. */
const edgeSpec = z.strictObject({
  schema: z.literal(1),
  node: specParts.node,
  revision: z.int().positive(),
  phase: z.enum(PHASES),
  namespaces: specParts.namespaces,
  filters: specParts.filters,
  // Specs of former versions, on an edge's disk (workers/edge/files.ts), have none.
  blocklists: z
    .array(
      z.strictObject({
        name: specParts.node,
        mode: specParts.ruleMode,
        blob: blobRef,
      }),
    )
    .default([]),
  blocks: z
    .array(
      z.strictObject({
        prefix: specParts.prefix,
        reason: z.string(),
        untilMs: z.int().nonnegative().nullable(),
      }),
    )
    .default([]),
  bgp: specParts.bgp,
  bfdPeers: specParts.bfdPeers,
  services: z.array(edgeService).default([]),
  repair: specParts.repair,
  frozen: z.strictObject({ node: z.boolean(), global: z.boolean() }),
});

export type Parsed<T> = { ok: true; value: T } | { ok: false; reason: string };

const parser =
  <T>(schema: z.ZodType<T>) =>
  (text: string): Parsed<T> => {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      return { ok: false, reason: String(error) };
    }
    const result = schema.safeParse(json);
    if (result.success) return { ok: true, value: result.data };
    return { ok: false, reason: z.prettifyError(result.error) };
  };

export const parseNodeValue = parser<NodeValue>(nodeValue);
export const parsePhaseValue = parser<PhaseValue>(phaseValue);
export const parseFreezeValue = parser<FreezeValue>(freezeValue);
export const parseClusterValue = parser<ClusterValue>(clusterValue);
export const parseOwnerValue = parser<OwnerValue>(ownerValue);
/** What is not known here is kept: any controller rewrites it, of any (`draining`). */
export const parseControllerValue = parser<ControllerValue>(controllerValue.loose());
export const parseRingValue = parser<RingValue>(ringValue);
export const parseMovementsValue = parser<MovementsValue>(movementsValue);
export const parseWarmValue = parser<WarmValue>(warmValue);
export const parseBlocklistValue = parser<BlocklistValue>(blocklistValue);
export const parseFeedValue = parser<FeedValue>(feedValue);
export const parseBlockValue = parser<BlockValue>(blockValue);
export const parseUnboundValue = parser<UnboundValue>(unboundValue);
export const parseServiceValue = parser<ServiceValue>(serviceValue);
export const parseNodeRouting = parser<NodeRouting>(nodeRouting);
export const parseServiceTraffic = parser<ServiceTraffic>(serviceTraffic);
export const parsePermits = parser<Permits>(permits);
export const parseCertificateValue = parser<CertificateValue>(certificateValue);
export const parseRemovedValue = parser<RemovedValue>(removedValue);
export const parseEdgeSpec = parser<EdgeSpec>(edgeSpec);

type AnyValue =
  | NodeValue
  | PhaseValue
  | FreezeValue
  | ClusterValue
  | OwnerValue
  | ControllerValue
  | RingValue
  | WarmValue
  | MovementsValue
  | BlocklistValue
  | FeedValue
  | BlockValue
  | UnboundValue
  | ServiceValue
  | NodeRouting
  | ServiceTraffic
  | Permits
  | CertificateValue
  | RemovedValue;

/** The text of a value: canonical, so that equal values are equal bytes. */
export const valueText = (value: AnyValue): string => canonicalJson(value);
