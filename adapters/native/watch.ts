/** One event socket in one namespace. */
import { Truncated } from '../../core/netlink/bytes';
import { NETLINK_OPT, NETLINK_ROUTE, RTNLGRP, SOL_NETLINK } from '../../core/netlink/consts';
import { decodeEvent, type RtEvent } from '../../core/netlink/event';
import { forEachMessage } from '../../core/netlink/message';
import { native, type NlSocket } from './native';

export type WatchGroup = keyof typeof RTNLGRP;

/** `overrun`: events were lost; whatever was derived from them must be read again. */
export type WatchEvent = RtEvent | { kind: 'overrun' };

/** Called inside the receive callback, before anything else runs. `atMs`: epoch ms of receipt. */
export type WatchHandler = (event: WatchEvent, atMs: number) => void;

/** asm-generic/socket.h */
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

const BUFFER = Buffer.alloc(256 * 1024);

export class Watch {
  private constructor(
    private readonly socket: NlSocket,
    private readonly handler: WatchHandler,
  ) {}

  static async open(
    nsFd: number | null,
    groups: readonly WatchGroup[],
    handler: WatchHandler,
    receiveBufferBytes: number = RECEIVE_BUFFER_BYTES,
  ): Promise<Watch> {
    const socket = await native.NlSocket.open(nsFd, NETLINK_ROUTE);
    const watch = new Watch(socket, handler);
    try {
      socket.setOpt(SOL_SOCKET, SO_RCVBUFFORCE, receiveBufferBytes);
      socket.start(
        (size) => watch.onData(size),
        () => watch.onLoss(),
        BUFFER,
      );
      for (const group of groups) {
        socket.setOpt(SOL_NETLINK, NETLINK_OPT.ADD_MEMBERSHIP, RTNLGRP[group]);
      }
    } catch (error) {
      socket.close();
      throw error;
    }
    return watch;
  }

  close(): void {
    this.socket.close();
  }

  private onData(size: number): void {
    const atMs = Date.now();
    try {
      forEachMessage(BUFFER, size, (message) => {
        const event = decodeEvent(message);
        if (event) this.handler(event, atMs);
      });
    } catch (error) {
      if (!(error instanceof Truncated)) throw error;
      this.onLoss();
    }
  }

  private onLoss(): void {
    this.handler({ kind: 'overrun' }, Date.now());
  }
}
