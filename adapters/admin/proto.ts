/** The admin API (`proto/admin.proto`) as both of its ends see it: its verbs, and their wire forms. */
import type { ClusterIssue } from '../../core/model/issues';
import type { NodeName } from '../../core/model/ids';
import type { FilterAnswer, FilterQuestion } from '../../core/filter/questions';
import type {
  AnycastServiceDescription,
  AnycastServiceView,
  BlocklistDescription,
  BlocklistView,
  BlockView,
  ClusterStatus,
  FeedOutcome,
  NodeDescription,
  NodeExplanation,
  NodeRoutingView,
  NodeView,
  RouteProgress,
} from '../../core/model/views';
import type { ControllerView, RingView } from '../../core/model/views-cluster';
import { loadService, safe } from '../grpc/service';

/** `json`: as its user wrote it; the controller validates it and fills in defaults. */
export interface Resource {
  kind: string;
  json: unknown;
}

export interface ApplyRequest {
  resources: Resource[];
  /** Of a plan, in the order of `resources`, 0 = must not exist; null: plan and apply in one go. */
  expectedRevisions: number[] | null;
  /** Of an apply: also where a service would be left with fewer announcers than its floor. */
  force: boolean;
}

export interface Change {
  kind: string;
  name: string;
  action: 'create' | 'update' | 'none';
  /** Planned against, or written. */
  revision: number;
  differences: string[];
  /** What the edge would run; empty where that is not known. */
  steps: string[];
  /** What else it means: BGP sessions that reset, nodes that a service binds. */
  notes: string[];
}

export interface AuditStarted {
  schedule: string;
  /** Nodes the audit will look at. */
  nodes: number;
}

export interface BlockRequest {
  /** A prefix or an address. */
  prefix: string;
  /** False: the block of exactly this prefix ends. */
  blocked: boolean;
  reason: string;
  /** 0 = until it is unblocked. */
  forMs: number;
  /** Labels that a node must have; empty: every node. */
  nodes: Record<string, string>;
  /** Also a prefix that is so short that it is likely a slip. */
  force: boolean;
}

export interface BlockAnswer {
  revision: number;
  /** Nodes concerned, and those of them whose edge is connected now. */
  nodes: NodeName[];
  connected: NodeName[];
}

/** `failBack`: what was moved by a failover returns now; `release`: a quarantine ends now. */
export const ROUTE_VERBS = [
  'drain',
  'undrain',
  'failover',
  'failBack',
  'quarantine',
  'release',
] as const;
export type RouteVerb = (typeof ROUTE_VERBS)[number];

export interface RouteOrder {
  verb: RouteVerb;
  /** One of the two. */
  node: NodeName | null;
  service: string | null;
  /** Regions: where a service is drained (null: everywhere), or which it leaves; and where it goes. */
  from: string | null;
  to: string | null;
  reason: string;
  /** Below the floor as well. */
  force: boolean;
  /** Of a quarantine. */
  forMs: number;
}

/** `started` false: it was under way already, and goes on. */
export interface RouteAnswer {
  workflowId: string;
  started: boolean;
}

export type ListedView = NodeView | BlocklistView | BlockView | AnycastServiceView;

export interface AdminVerbs {
  plan: { request: ApplyRequest; response: Change[] };
  apply: { request: ApplyRequest; response: Change[] };
  /** Views of that kind of resource, or of what is blocked by hand (`Block`). */
  get: { request: { kind: string; name: string | null }; response: ListedView[] };
  describe: {
    request: { kind: string; name: string };
    response: NodeDescription | BlocklistDescription | AnycastServiceDescription;
  };
  explain: { request: { node: NodeName }; response: NodeExplanation };
  delete: {
    request: { kind: string; name: string; force: boolean };
    /** `workflowId` empty: it is done. */
    response: { deletionRevision: number; workflowId: string };
  };
  audit: { request: Record<string, never>; response: AuditStarted };
  freeze: {
    /** `node` null: all nodes. */
    request: { node: NodeName | null; frozen: boolean; reason: string };
    response: { revision: number };
  };
  approve: {
    request: { node: NodeName; planHash: string };
    response: { incidentId: string };
  };
  status: { request: Record<string, never>; response: ClusterStatus };
  block: { request: BlockRequest; response: BlockAnswer };
  refreshBlocklist: {
    request: { name: string };
    /** `result` null: it is still under way. */
    response: { workflowId: string; result: FeedOutcome | null };
  };
  askFilter: { request: { node: NodeName; question: FilterQuestion }; response: FilterAnswer };
  route: { request: RouteOrder; response: RouteAnswer };
  routeProgress: { request: { workflowId: string }; response: RouteProgress };
  /** `node` null: all of them. */
  routing: { request: { node: NodeName | null }; response: NodeRoutingView[] };
  members: { request: Record<string, never>; response: ControllerView[] };
  ring: { request: Record<string, never>; response: RingView };
  /** Asked again it tells how far it is: `holds` shards are left. */
  drainController: {
    request: { controller: string; draining: boolean };
    response: { holds: number };
  };
}
export type Verb = keyof AdminVerbs;

/** What a controller does; `by` is who asks (acts.ts), and may. */
export type AdminPort = {
  [V in Verb]: (
    request: AdminVerbs[V]['request'],
    by: string,
  ) => Promise<AdminVerbs[V]['response']>;
};

/** Metadata keys. */
export const BY = 'aether-by';
export const ISSUES = 'aether-issues';

export const ADMIN_SERVICE = loadService('admin.proto', 'aether.admin.v1.Admin');

/** Why a controller did not do it; nothing was changed, but for `unknown`: it may have been done, or be done yet. */
export type AdminFailure =
  | { code: 'invalid'; message: string; issues: ClusterIssue[] }
  | { code: 'stale' | 'notFound' | 'precondition' | 'unavailable' | 'forbidden'; message: string }
  | { code: 'unknown'; message: string };

export class AdminError extends Error {
  override readonly name = 'AdminError';
  constructor(readonly failure: AdminFailure) {
    super(failure.message);
  }
}

// ---- Wire forms ------------------------------------------------------------------------------

interface Codec<T, W = never> {
  toWire(value: T): object;
  fromWire(wire: W): T;
}
type Codecs = {
  [V in Verb]: {
    request: Codec<AdminVerbs[V]['request']>;
    response: Codec<AdminVerbs[V]['response']>;
  };
};

const same = <T extends object>(): Codec<T, T> => ({
  toWire: (value) => value,
  fromWire: (wire) => wire,
});

const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const fromBytes = <T>(json: Uint8Array): T => JSON.parse(Buffer.from(json).toString('utf8')) as T;

const json = <T>(): Codec<T, { json: Uint8Array }> => ({
  toWire: (value) => ({ json: bytes(value) }),
  fromWire: (wire) => fromBytes<T>(wire.json),
});

const orNull = (text: string): string | null => (text === '' ? null : text);

interface WireApply {
  resources: { kind: string; json: Uint8Array }[];
  expectedRevisions: number[];
  force: boolean;
}

const applyRequest: Codec<ApplyRequest, WireApply> = {
  toWire: ({ resources, expectedRevisions, force }) => ({
    force,
    resources: resources.map(({ kind, json: value }) => ({ kind, json: bytes(value) })),
    expectedRevisions: expectedRevisions ?? [],
  }),
  fromWire: ({ resources, expectedRevisions, force }) => ({
    force,
    resources: resources.map(({ kind, json: value }) => ({ kind, json: fromBytes(value) })),
    expectedRevisions: expectedRevisions.length === 0 ? null : expectedRevisions.map(safe),
  }),
};

type WireOrder = { [K in keyof RouteOrder]: NonNullable<RouteOrder[K]> };

const changes: Codec<Change[], { changes: Change[] }> = {
  toWire: (list) => ({ changes: list }),
  fromWire: (wire) => wire.changes,
};

export const CODECS: Codecs = {
  plan: { request: applyRequest, response: changes },
  apply: { request: applyRequest, response: changes },
  get: {
    request: {
      toWire: ({ kind, name }) => ({ kind, name: name ?? '' }),
      fromWire: ({ kind, name }: { kind: string; name: string }) => ({ kind, name: orNull(name) }),
    },
    response: {
      toWire: (views) => ({ itemsJson: views.map(bytes) }),
      fromWire: ({ itemsJson }: { itemsJson: Uint8Array[] }) =>
        itemsJson.map((item) => fromBytes<ListedView>(item)),
    },
  },
  describe: { request: same(), response: json() },
  explain: { request: same(), response: json() },
  delete: { request: same(), response: same() },
  audit: { request: same(), response: json() },
  freeze: {
    request: {
      toWire: (request) => ({ ...request, node: request.node ?? '' }),
      fromWire: (wire: { node: string; frozen: boolean; reason: string }) => ({
        ...wire,
        node: orNull(wire.node),
      }),
    },
    response: same(),
  },
  approve: { request: same(), response: same() },
  status: { request: same(), response: json() },
  block: {
    request: {
      toWire: (request) => request,
      fromWire: (wire: BlockRequest) => ({ ...wire, forMs: safe(wire.forMs) }),
    },
    response: {
      toWire: (answer) => answer,
      fromWire: (wire: BlockAnswer) => wire,
    },
  },
  refreshBlocklist: { request: same(), response: json() },
  askFilter: {
    request: {
      toWire: ({ node, question }) => ({ node, questionJson: bytes(question) }),
      fromWire: ({ node, questionJson }: { node: string; questionJson: Uint8Array }) => ({
        node,
        question: fromBytes<FilterQuestion>(questionJson),
      }),
    },
    response: json(),
  },
  route: {
    request: {
      toWire: (order) => ({
        ...order,
        node: order.node ?? '',
        service: order.service ?? '',
        from: order.from ?? '',
        to: order.to ?? '',
      }),
      fromWire: (wire: WireOrder) => ({
        ...wire,
        node: orNull(wire.node),
        service: orNull(wire.service),
        from: orNull(wire.from),
        to: orNull(wire.to),
        forMs: safe(wire.forMs),
      }),
    },
    response: same(),
  },
  routeProgress: { request: same(), response: json() },
  routing: {
    request: {
      toWire: ({ node }) => ({ node: node ?? '' }),
      fromWire: ({ node }: { node: string }) => ({ node: orNull(node) }),
    },
    response: json(),
  },
  members: { request: same(), response: json() },
  ring: { request: same(), response: json() },
  drainController: { request: same(), response: same() },
};
