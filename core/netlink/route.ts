/** Routes: struct rtmsg and RTA_* (linux/rtnetlink.h). */
import { Attributes, type AttributeWriter } from './attributes';
import { Truncated, readU32 } from './bytes';
import { AF, NLM_F, RTA, RTM, RTN_BLACKHOLE, RTN_UNICAST, RT_SCOPE, RT_TABLE_MAIN } from './consts';
import { formatAddress, type IpAddress, type IpPrefix } from './ip';
import { request, type Message } from './message';

/** u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags. */
const RTMSG = 12;

export interface Route {
  family: number;
  /** Canonical prefix; `0.0.0.0/0`, `::/0` for the default routes. */
  to: string;
  via: string | null;
  /** RTA_OIF; null for multipath routes. */
  ifindex: number | null;
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
    case RTA.PRIORITY:
      route.metric = a.u32();
      break;
    case RTA.TABLE:
      route.table = a.u32();
      break;
  }
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
  ifindex?: number;
  protocol: number;
  metric?: number;
  /** What it leads to is dropped, and nobody is told: RTN_BLACKHOLE. */
  discards?: true;
}

function encodeRoute(type: number, flags: number, route: RouteSpec): Uint8Array {
  const { family, prefixLength, bytes } = route.to;
  const kind = route.discards ? RTN_BLACKHOLE : RTN_UNICAST;
  const scope = route.via || route.discards ? RT_SCOPE.UNIVERSE : RT_SCOPE.LINK;
  return request(type, flags | NLM_F.ACK, (w) => {
    writeRtmsg(w, family, prefixLength, route.protocol, scope, kind);
    if (prefixLength > 0) w.attr(RTA.DST, bytes);
    if (route.via) w.attr(RTA.GATEWAY, route.via.bytes);
    if (route.ifindex !== undefined) w.attrU32(RTA.OIF, route.ifindex);
    if (route.metric !== undefined) w.attrU32(RTA.PRIORITY, route.metric);
  });
}

export const encodeNewRoute = (route: RouteSpec): Uint8Array =>
  encodeRoute(RTM.NEWROUTE, NLM_F.CREATE | NLM_F.EXCL, route);

/** Deletes only a route of this very protocol, gateway and destination. */
export const encodeDelRoute = (route: RouteSpec): Uint8Array => encodeRoute(RTM.DELROUTE, 0, route);
