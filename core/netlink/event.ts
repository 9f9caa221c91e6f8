/** What an event socket hears, typed. */
import { decodeAddr, type Addr } from './addr';
import { RTM } from './consts';
import { decodeLink, type Link } from './link';
import type { Message } from './message';
import { decodeRoute, type Route } from './route';

export type RtEvent = { portId: number; deleted: boolean } & (
  { kind: 'link'; link: Link } | { kind: 'addr'; addr: Addr } | { kind: 'route'; route: Route }
);

/** Null for messages that are no event of ours. */
export function decodeEvent(message: Message): RtEvent | null {
  const { type, portId } = message;
  switch (type) {
    case RTM.NEWLINK:
    case RTM.DELLINK:
      return { kind: 'link', portId, deleted: type === RTM.DELLINK, link: decodeLink(message) };
    case RTM.NEWADDR:
    case RTM.DELADDR:
      return { kind: 'addr', portId, deleted: type === RTM.DELADDR, addr: decodeAddr(message) };
    case RTM.NEWROUTE:
    case RTM.DELROUTE:
      return { kind: 'route', portId, deleted: type === RTM.DELROUTE, route: decodeRoute(message) };
    default:
      return null;
  }
}
