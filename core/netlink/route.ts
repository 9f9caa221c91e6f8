/** Routes: struct rtmsg and RTA_* (linux/rtnetlink.h). */
import { Attributes, type AttributeWriter } from './attributes';
import { Truncated, align4, readS32, readU16, readU32 } from './bytes';
import { AF, NLM_F, RTA, RTM, RTN_BLACKHOLE, RTN_UNICAST, RT_SCOPE, RT_TABLE_MAIN } from './consts';
import { formatAddress, type IpAddress, type IpPrefix } from './ip';
import { request, type Message } from './message';

/** u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags. */
const RTMSG = 12;

/** One of several next hops; `weight` 1 … 256, the kernel's number and one. */
export interface Hop {
  via: string | null;
  ifindex: number;
  weight: number;
}

export interface Route {
  family: number;
  /** Canonical prefix; `0.0.0.0/0`, `::/0` for the default routes. */
  to: string;
  via: string | null;
  /** RTA_OIF; null for multipath routes. */
  ifindex: number | null;
  /** RTA_MULTIPATH; empty where there is one next hop. */
  hops: readonly Hop[];
  table: number;
  /** rtm_protocol: 2 kernel, 3 boot, 4 static. */
  protocol: number;
  /** RTN_*: 1 unicast. */
  type: number;
  metric: number;
  /** RTM_F_*. */
  flags: number;
}

/** rtm_protocol alone, for those who skip routes by it. */
export function routeProtocol({ bytes, start, end }: Message): number {
  if (end - start < RTMSG) throw new Truncated('rtmsg');
  return bytes[start + 5]!;
}

/** Most routes have none: shared. */
const NO_HOPS: readonly Hop[] = [];

const anyAddress = (family: number): string => (family === AF.INET6 ? '::' : '0.0.0.0');

/** RTM_NEWROUTE, RTM_DELROUTE. Of other families than IP, `to` is empty. */
export function decodeRoute({ bytes, start, end }: Message): Route {
  if (end - start < RTMSG) throw new Truncated('rtmsg');
  const family = bytes[start]!;
  const isIp = family === AF.INET || family === AF.INET6;
  const route: Route = {
    family,
    to: isIp ? `${anyAddress(family)}/${bytes[start + 1]!}` : '',
    via: null,
    ifindex: null,
    hops: NO_HOPS,
    table: bytes[start + 4]!,
    protocol: bytes[start + 5]!,
    type: bytes[start + 7]!,
    metric: 0,
    flags: readU32(bytes, start + 8),
  };
  const a = new Attributes(bytes, start + RTMSG, end);
  while (a.step()) decodeAttribute(route, a, isIp, bytes[start + 1]!);
  return route;
}

function decodeAttribute(route: Route, a: Attributes, isIp: boolean, length: number): void {
  switch (a.type) {
    case RTA.DST:
      if (isIp) route.to = `${formatAddress(route.family, a.bytes, a.at, a.end)}/${length}`;
      break;
    case RTA.GATEWAY:
      if (isIp) route.via = formatAddress(route.family, a.bytes, a.at, a.end);
      break;
    case RTA.VIA:
      route.via = decodeVia(a);
      break;
    case RTA.OIF:
      route.ifindex = a.u32();
      break;
    case RTA.MULTIPATH:
      route.hops = decodeHops(a, route.family);
      break;
    case RTA.PRIORITY:
      route.metric = a.u32();
      break;
    case RTA.TABLE:
      route.table = a.u32();
      break;
  }
}

/** struct rtnexthop: u16 length with header, u8 flags, u8 hops (weight − 1), s32 ifindex; attributes. */
const RTNEXTHOP = 8;

function decodeHops({ bytes, at, end }: Attributes, family: number): Hop[] {
  const hops: Hop[] = [];
  for (let next = at; end - next >= RTNEXTHOP;) {
    const length = readU16(bytes, next);
    if (length < RTNEXTHOP || length > end - next) throw new Truncated('rtnexthop');
    const hop: Hop = {
      via: null,
      ifindex: readS32(bytes, next + 4),
      weight: bytes[next + 3]! + 1,
    };
    const a = new Attributes(bytes, next + RTNEXTHOP, next + length);
    while (a.step()) {
      if (a.type === RTA.GATEWAY) hop.via = formatAddress(family, a.bytes, a.at, a.end);
      if (a.type === RTA.VIA) hop.via = decodeVia(a);
    }
    hops.push(hop);
    next += align4(length);
  }
  return hops;
}

/** struct rtvia: u16 family, address (a gateway of another family than the route's). */
function decodeVia(a: Attributes): string | null {
  const family = a.u16();
  if (family !== AF.INET && family !== AF.INET6) return null;
  return formatAddress(family, a.bytes, a.at + 2, a.end);
}

/** The main table of both families; the kernel filters (needs GET_STRICT_CHK). */
export const encodeDumpRoutes = (family: number): Uint8Array =>
  request(RTM.GETROUTE, NLM_F.DUMP, (w) => {
    writeRtmsg(w, family, 0, 0, 0, 0);
    w.attrU32(RTA.TABLE, RT_TABLE_MAIN);
  });

function writeRtmsg(
  w: AttributeWriter,
  family: number,
  prefixLength: number,
  protocol: number,
  scope: number,
  type: number,
): void {
  w.u8(family).u8(prefixLength).u8(0).u8(0);
  w.u8(RT_TABLE_MAIN).u8(protocol).u8(scope).u8(type).u32(0);
}

export interface RouteSpec {
  to: IpPrefix;
  via?: IpAddress;
  /** Several, of one weight each (ECMP); then there is no `via`. */
  hops?: readonly IpAddress[];
  ifindex?: number;
  protocol: number;
  metric?: number;
  /** What it leads to is dropped, and nobody is told: RTN_BLACKHOLE. */
  discards?: true;
}

function encodeRoute(type: number, flags: number, route: RouteSpec): Uint8Array {
  const { family, prefixLength, bytes } = route.to;
  const kind = route.discards ? RTN_BLACKHOLE : RTN_UNICAST;
  const far = route.via ?? route.hops ?? route.discards;
  const scope = far ? RT_SCOPE.UNIVERSE : RT_SCOPE.LINK;
  return request(type, flags | NLM_F.ACK, (w) => {
    writeRtmsg(w, family, prefixLength, route.protocol, scope, kind);
    if (prefixLength > 0) w.attr(RTA.DST, bytes);
    if (route.via) w.attr(RTA.GATEWAY, route.via.bytes);
    if (route.hops) writeHops(w, route.hops);
    if (route.ifindex !== undefined) w.attrU32(RTA.OIF, route.ifindex);
    if (route.metric !== undefined) w.attrU32(RTA.PRIORITY, route.metric);
  });
}

function writeHops(w: AttributeWriter, hops: readonly IpAddress[]): void {
  w.nest(RTA.MULTIPATH, () => {
    for (const { bytes } of hops) {
      const start = w.length;
      w.u16(0).u8(0).u8(0).u32(0).attr(RTA.GATEWAY, bytes);
      w.patchU16(start, w.length - start);
    }
  });
}

/** Takes the place of what has this destination and metric, whoever made it. */
export const encodeReplaceRoute = (route: RouteSpec): Uint8Array =>
  encodeRoute(RTM.NEWROUTE, NLM_F.CREATE | NLM_F.REPLACE, route);

export const encodeNewRoute = (route: RouteSpec): Uint8Array =>
  encodeRoute(RTM.NEWROUTE, NLM_F.CREATE | NLM_F.EXCL, route);

/** Deletes only a route of this very protocol, gateway and destination. */
export const encodeDelRoute = (route: RouteSpec): Uint8Array => encodeRoute(RTM.DELROUTE, 0, route);
