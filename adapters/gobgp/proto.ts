/** Messages of `proto/gobgp.proto` as proto-loader gives and takes them: what is absent arrives as null. */
import { loadService } from '../grpc/service';

export const GOBGP_SERVICE = loadService('gobgp.proto', 'api.GoBgpService');

export interface GlobalMessage {
  asn: number;
  routerId: string;
  listenPort: number;
  useMultiplePaths: boolean;
}

export interface Family {
  afi: 'AFI_IP' | 'AFI_IP6';
  safi: 'SAFI_UNICAST';
}

/** As sent and as read; `state` is only read. */
export interface PeerMessage {
  conf: { neighborAddress: string; peerAsn: number; authPassword: string; adminDown: boolean };
  ebgpMultihop: { enabled: boolean; multihopTtl: number } | null;
  ttlSecurity: { enabled: boolean; ttlMin: number } | null;
  timers: {
    config: {
      connectRetry: number;
      holdTime: number;
      keepaliveInterval: number;
      idleHoldTimeAfterReset: number;
    } | null;
    state?: { uptime: Timestamp | null; downtime: Timestamp | null } | null;
  } | null;
  transport: { localAddress: string } | null;
  afiSafis: {
    config: { family: Family; enabled: boolean } | null;
    prefixLimits: { family: Family; maxPrefixes: number } | null;
    state?: { received: number } | null;
  }[];
  state?: PeerStateMessage | null;
}

export interface PeerStateMessage {
  sessionState: string;
  adminState: string;
  messages: { received: MessageCounts | null; sent: MessageCounts | null } | null;
}

export interface MessageCounts {
  notification: number;
  update: number;
  open: number;
}

export interface Timestamp {
  seconds: number;
  nanos: number;
}

export type AttributeMessage =
  | { attr: 'origin'; origin: { origin: number } }
  | { attr: 'asPath'; asPath: { segments: { type: string; numbers: number[] }[] } }
  | { attr: 'nextHop'; nextHop: { nextHop: string } }
  | { attr: 'communities'; communities: { communities: number[] } }
  | { attr: 'mpReach'; mpReach: { nextHops: string[] } };

export interface PathMessage {
  nlri: { nlri: 'prefix'; prefix: { prefix: string; prefixLen: number } } | null;
  pattrs: AttributeMessage[];
  family: Family;
  isWithdraw: boolean;
  best?: boolean;
  /** 0: put in by the API. */
  sourceAsn?: number;
  neighborIp?: string;
}

export interface WatchEventResponse {
  event?: 'peer' | 'table';
  peer?: { type: string; peer: PeerMessage | null };
  table?: { paths: PathMessage[] };
}

export interface DefinedSetMessage {
  definedType: 'DEFINED_TYPE_PREFIX' | 'DEFINED_TYPE_NEIGHBOR';
  name: string;
  /** Of neighbours: CIDRs. */
  list: string[];
  prefixes: { ipPrefix: string; maskLengthMin: number; maskLengthMax: number }[];
}

export interface PolicyMessage {
  name: string;
  statements: StatementMessage[];
}

export interface StatementMessage {
  name: string;
  conditions: {
    prefixSet: MatchSet | null;
    neighborSet: MatchSet | null;
    routeType: string;
  } | null;
  actions: { routeAction: string } | null;
}

export interface MatchSet {
  type: string;
  name: string;
}

export interface AssignmentMessage {
  name: string;
  direction: 'POLICY_DIRECTION_IMPORT' | 'POLICY_DIRECTION_EXPORT';
  policies: PolicyMessage[];
  defaultAction: string;
}
