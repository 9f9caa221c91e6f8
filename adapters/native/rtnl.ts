/** One request socket in one namespace: links, addresses, routes; list, get, add, set, delete. */
import { setTimeout as delay } from 'node:timers/promises';
import {
  addrProtocol,
  decodeAddr,
  encodeDelAddr,
  encodeDumpAddrs,
  encodeNewAddr,
} from '../../core/netlink/addr';
import type { Addr, AddrSpec } from '../../core/netlink/addr';
import { Truncated } from '../../core/netlink/bytes';
import {
  AF,
  IFAPROT,
  NETLINK_OPT,
  NETLINK_ROUTE,
  RTM,
  RTPROT_KERNEL,
  SOL_NETLINK,
} from '../../core/netlink/consts';
import { Exchange, type Outcome } from '../../core/netlink/exchange';
import {
  decodeLink,
  encodeDelLink,
  encodeDumpLinks,
  encodeGetLink,
  encodeNewVeth,
  encodeSetLink,
} from '../../core/netlink/link';
import type { Link, LinkChange, LinkRef, VethSpec } from '../../core/netlink/link';
import type { Message } from '../../core/netlink/message';
import { decodeNsid, encodeGetNsid } from '../../core/netlink/nsid';
import {
  decodeRoute,
  routeProtocol,
  encodeDelRoute,
  encodeDumpRoutes,
  encodeNewRoute,
  encodeReplaceRoute,
} from '../../core/netlink/route';
import type { Route, RouteSpec } from '../../core/netlink/route';
import { codeOf, NetlinkError } from './errors';
import { native, type NlSocket } from './native';

/** What a dump yielded. `interrupted`: still torn after all retries, so absence proves nothing. */
export interface Snapshot<T> {
  objects: T[];
  interrupted: boolean;
}

const DUMP_ATTEMPTS = 5;
const DUMP_BACKOFF_MS = 5;
const EBADF = 9;
const EPROTO = 71;

/** Answers are decoded inside the callback, so all request sockets of a thread share one buffer. */
const BUFFER = Buffer.alloc(256 * 1024);

const nameOf = (ref: LinkRef): string =>
  'name' in ref ? ref.name : 'index' in ref ? `#${ref.index}` : `group ${ref.group}`;

const decodeForeignAddr = (message: Message): Addr | null => {
  const protocol = addrProtocol(message);
  return protocol > 0 && protocol <= IFAPROT.KERNEL_LL ? null : decodeAddr(message);
};

const decodeForeignRoute = (message: Message): Route | null =>
  routeProtocol(message) === RTPROT_KERNEL ? null : decodeRoute(message);

/** A table comes into being with its first route: before that, the kernel says ENOENT. */
function noSuchTable(error: unknown): Snapshot<Route> {
  if (codeOf(error) !== 'ENOENT') throw error;
  return { objects: [], interrupted: false };
}

export class Rtnl {
  private readonly exchange = new Exchange();
  private closed = false;

  private constructor(private readonly socket: NlSocket) {}

  /** In the namespace of `nsFd`, null: that of the process. The fd may be closed afterwards. */
  static async open(nsFd: number | null): Promise<Rtnl> {
    const socket = await native.NlSocket.open(nsFd, NETLINK_ROUTE);
    for (const option of [NETLINK_OPT.CAP_ACK, NETLINK_OPT.EXT_ACK, NETLINK_OPT.GET_STRICT_CHK]) {
      socket.setOpt(SOL_NETLINK, option, 1);
    }
    const rtnl = new Rtnl(socket);
    socket.start(
      (size) => rtnl.onData(size),
      (errno, seq) => rtnl.onError(errno, seq),
      BUFFER,
    );
    socket.unref();
    return rtnl;
  }

  readonly links = {
    list: (): Promise<Snapshot<Link>> => this.dump('link list', encodeDumpLinks, decodeLink),
    /** Null where there is none. */
    get: (ref: LinkRef): Promise<Link | null> => this.getLink(ref),
    addVeth: (veth: VethSpec): Promise<void> =>
      this.ack(`link add ${veth.name}`, encodeNewVeth(veth)),
    set: (ref: LinkRef, change: LinkChange): Promise<void> =>
      this.ack(`link set ${nameOf(ref)}`, encodeSetLink(ref, change)),
    /** A group: every link in it, by one request. ENODEV where there is none. */
    delete: (ref: LinkRef): Promise<void> =>
      this.ack(`link delete ${nameOf(ref)}`, encodeDelLink(ref)),
  };

  readonly addrs = {
    /** Without what the kernel put there itself. */
    list: (): Promise<Snapshot<Addr>> =>
      this.dump('address list', encodeDumpAddrs, decodeForeignAddr),
    add: (addr: AddrSpec): Promise<void> => this.ack('address add', encodeNewAddr(addr)),
    delete: (addr: AddrSpec): Promise<void> => this.ack('address delete', encodeDelAddr(addr)),
  };

  readonly routes = {
    /**
     * The main tables of both families, without what the kernel put there itself, nor what bears protocol
     * `but`: of a hundred thousand that nobody asks for, none is decoded.
     */
    list: async (but: number | null = null): Promise<Snapshot<Route>> => {
      const decode = (message: Message): Route | null =>
        routeProtocol(message) === but ? null : decodeForeignRoute(message);
      const list = (family: number): Promise<Snapshot<Route>> =>
        this.dump('route list', () => encodeDumpRoutes(family), decode).catch(noSuchTable);
      const [v4, v6] = await Promise.all([list(AF.INET), list(AF.INET6)]);
      return {
        objects: [...v4.objects, ...v6.objects],
        interrupted: v4.interrupted || v6.interrupted,
      };
    },
    /** EEXIST where another one has this destination and metric. */
    add: (route: RouteSpec): Promise<void> => this.ack('route add', encodeNewRoute(route)),
    /** Whoever made the one in its place. */
    replace: (route: RouteSpec): Promise<void> =>
      this.ack('route replace', encodeReplaceRoute(route)),
    delete: (route: RouteSpec): Promise<void> => this.ack('route delete', encodeDelRoute(route)),
  };

  /** The id this namespace has for the one of `nsFd`; −1 where it has none. */
  async nsid(nsFd: number): Promise<number> {
    let nsid = -1;
    await this.run('nsid get', encodeGetNsid(nsFd), (message) => (nsid = decodeNsid(message)));
    return nsid;
  }

  /** What is in flight ends as unknown. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.close();
    this.exchange.close(EBADF);
  }

  private async getLink(ref: LinkRef): Promise<Link | null> {
    let link: Link | null = null;
    try {
      await this.run(`link get ${nameOf(ref)}`, encodeGetLink(ref), (message) => {
        if (message.type === RTM.NEWLINK) link = decodeLink(message);
      });
    } catch (error) {
      if (error instanceof NetlinkError && error.code === 'ENODEV') return null;
      throw error;
    }
    return link;
  }

  private async ack(op: string, bytes: Uint8Array): Promise<void> {
    await this.run(op, bytes, () => undefined);
  }

  /** A torn dump is done again; the last attempt is used as it is, marked. Null is left out. */
  private async dump<T>(
    op: string,
    encode: () => Uint8Array,
    decode: (message: Message) => T | null,
  ): Promise<Snapshot<T>> {
    for (let attempt = 1; ; attempt++) {
      const objects: T[] = [];
      const interrupted = await this.run(op, encode(), (message) => {
        const object = decode(message);
        if (object !== null) objects.push(object);
      });
      if (!interrupted || attempt === DUMP_ATTEMPTS) return { objects, interrupted };
      await delay(DUMP_BACKOFF_MS * 2 ** (attempt - 1));
    }
  }

  /** Resolves to whether a dump was torn. */
  private run(
    op: string,
    bytes: Uint8Array,
    onMessage: (message: Message) => void,
  ): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const onEnd = (outcome: Outcome): void => {
        if (outcome.state === 'done') return resolve(outcome.interrupted);
        const failed = outcome.state === 'failed';
        reject(
          new NetlinkError(outcome.errno, op, failed ? outcome.extack : '', failed ? false : null),
        );
      };
      if (this.closed) return onEnd({ state: 'failed', errno: EBADF, extack: '' });
      this.exchange.submit({ bytes, onMessage, onEnd });
      this.pump();
    });
  }

  private pump(): void {
    if (this.closed) return;
    for (const { bytes, seq, dump } of this.exchange.ready()) {
      if (dump) this.exchange.sendFailed(seq, this.socket.sendDump(bytes));
      else this.socket.send(bytes);
    }
    // Only a request under way keeps the process alive.
    if (this.exchange.idle) this.socket.unref();
    else this.socket.ref();
  }

  private onData(size: number): void {
    try {
      this.exchange.receive(BUFFER, size);
    } catch (error) {
      if (!(error instanceof Truncated)) throw error;
      this.exchange.lost(EPROTO);
    }
    this.pump();
  }

  private onError(errno: number, seq: number): void {
    if (seq > 0) this.exchange.sendFailed(seq, errno);
    else this.exchange.lost(errno);
    this.pump();
  }
}
