/**
 * gobgpd 4.8.0 behind its API socket (`--api-hosts unix://…`). Where it does other than one would
 * think, the comment says so; all of these were seen or read in that version.
 */
import type { ServiceError } from '@grpc/grpc-js';
import type {
  BgpEvent,
  BgpPort,
  GlobalConfig,
  PathConfig,
  PeerConfig,
  PeerState,
  Policies,
} from '../../core/bgp/types';
import { BgpError } from '../../core/bgp/types';
import type { PeerDown } from '../../core/bgp/notification';
import { watchDowns } from './bmp';
import { bgpError, Calls } from './calls';
import {
  checkedAddress,
  familyOf,
  IPV4,
  IPV6,
  isOurs,
  pathConfig,
  pathMessage,
  peerMessage,
  peerState,
} from './convert';
import { PolicyKeeper, unlessRefused } from './policies';
import type { GlobalMessage, PathMessage, PeerMessage, WatchEventResponse } from './proto';
import { EventReader } from './watch';

interface DestinationMessage {
  destination: { paths: PathMessage[] };
}

const ONLY_DIALS = -1;
/** Of a whole table. */
const TABLE_MS = 30_000;
/** After a reset was asked for: how long to look whether it was sent, and how often. */
const RESET_SEEN_MS = 1_000;
const RESET_LOOK_MS = 20;

export class GobgpClient implements BgpPort {
  private readonly calls: Calls;
  private readonly policies: PolicyKeeper;

  constructor(socketPath: string) {
    this.calls = new Calls(`unix:${socketPath}`);
    this.policies = new PolicyKeeper(this.calls);
  }

  async global(): Promise<GlobalConfig | null> {
    const { global } = await this.calls.unary<{ global: GlobalMessage | null }>('GetBgp', {});
    if (global === null || global.asn === 0) return null;
    const { asn, routerId, listenPort } = global;
    return { asn, routerId, listenPort: listenPort > 0 ? listenPort : null };
  }

  /** After it nothing enters or leaves: gobgpd's own default is to accept all. */
  async start({ asn, routerId, listenPort }: GlobalConfig): Promise<void> {
    const global = { asn, routerId, listenPort: listenPort ?? ONLY_DIALS, useMultiplePaths: true };
    await this.calls.unary('StartBgp', { global });
    await this.policies.set({ exportPrefixes: [], importPrefixes: [], held: null });
  }

  async peers(): Promise<PeerState[]> {
    const answers = await this.listPeers({});
    return answers.map(peerState);
  }

  async accepted(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    await this.eachPath((path) => {
      if (isOurs(path) || path.neighborIp === undefined) return;
      counts.set(path.neighborIp, (counts.get(path.neighborIp) ?? 0) + 1);
    });
    return counts;
  }

  async addPeer(config: PeerConfig): Promise<void> {
    await this.calls.unary('AddPeer', { peer: peerMessage(config) });
  }

  async updatePeer(config: PeerConfig): Promise<void> {
    await this.calls.unary('UpdatePeer', { peer: peerMessage(config) });
  }

  /** A neighbour that is not there is no error. */
  async deletePeer(address: string): Promise<void> {
    const [peer] = await this.listPeers({ address: checkedAddress(address) });
    if (peer === undefined) return;
    // DeletePeer leaves the password on the listening socket: the kernel would go on to want it of
    // whoever comes from there. UpdatePeer takes it away.
    if (peer.conf.authPassword !== '') {
      const conf = { ...peer.conf, authPassword: '' };
      await this.calls.unary('UpdatePeer', { peer: { ...configOf(peer), conf } });
    }
    await this.calls.unary('DeletePeer', { address }).catch(unlessRefused);
  }

  async redialPeer(address: string): Promise<void> {
    const [peer] = await this.listPeers({ address: checkedAddress(address) });
    if (peer?.state?.sessionState === 'SESSION_STATE_IDLE') await this.addAnew(peer);
  }

  /**
   * gobgpd puts the NOTIFICATION into a channel (fsm.notification) that is read in Established alone.
   * Asked for in any other state it waits there, and ends the next session 1 ms after it came up. Here
   * it is asked for in Established only; and where the session went by itself in that moment, so that it
   * was not sent (its counter tells), the neighbour is added anew: that is a new channel.
   */
  async resetPeer(address: string, communication: string): Promise<boolean> {
    const [before] = await this.listPeers({ address: checkedAddress(address) });
    if (before === undefined || !isEstablished(before)) return false;
    await this.calls.unary('ResetPeer', { address, communication });
    const deadlineMs = performance.now() + RESET_SEEN_MS;
    while (performance.now() < deadlineMs) {
      const [now] = await this.listPeers({ address });
      if (now === undefined || notificationsSent(now) > notificationsSent(before)) return true;
      if (!isEstablished(now)) {
        await this.addAnew(now);
        return false;
      }
      await new Promise((resolve) => setTimeout(resolve, RESET_LOOK_MS));
    }
    throw new BgpError('unreachable', `ResetPeer: gobgpd took it and did not send it (${address})`);
  }

  refreshOut(address: string): Promise<void> {
    return this.policies.refreshOut(address);
  }

  async setPolicies(policies: Policies): Promise<void> {
    if ((await this.global()) === null) {
      throw new BgpError('notStarted', 'setPolicies: gobgpd has no policies before it is started');
    }
    await this.policies.set(policies);
  }

  async paths(prefixes?: readonly string[]): Promise<PathConfig[]> {
    const ours: PathConfig[] = [];
    await this.eachPath((path) => {
      if (isOurs(path)) ours.push(pathConfig(path));
    }, prefixes);
    return ours;
  }

  /** Of the whole table, one family after the other, or of some prefixes. */
  private async eachPath(
    take: (path: PathMessage) => void,
    only?: readonly string[],
  ): Promise<void> {
    const tableType = 'TABLE_TYPE_GLOBAL';
    for (const family of [IPV4, IPV6]) {
      const prefixes = only
        ?.filter((prefix) => familyOf(prefix) === family)
        .map((prefix) => ({ prefix, type: 'TYPE_EXACT' }));
      // None named is all of them.
      if (prefixes?.length === 0) continue;
      const request = { tableType, family, ...(prefixes === undefined ? {} : { prefixes }) };
      await this.calls.each<DestinationMessage>(
        'ListPath',
        request,
        ({ destination }) => destination.paths.forEach(take),
        ...(prefixes === undefined ? [TABLE_MS] : []),
      );
    }
  }

  async addPath(path: PathConfig): Promise<void> {
    await this.calls.unary('AddPath', { tableType: 'TABLE_TYPE_GLOBAL', path: pathMessage(path) });
  }

  /** One that is not there is no error. */
  async deletePath(prefix: string): Promise<void> {
    const path = { ...pathMessage({ prefix, communities: [], asPath: [] }), isWithdraw: true };
    const family = familyOf(prefix);
    await this.calls.unary('DeletePath', { tableType: 'TABLE_TYPE_GLOBAL', family, path });
  }

  watch(
    what: { peers: boolean; best: boolean },
    onEvent: (event: BgpEvent) => void,
  ): { close(): void } {
    const call = this.calls.stream<WatchEventResponse>('WatchEvent', {
      ...(what.peers ? { peer: {} } : {}),
      ...(what.best ? { table: { filters: [{ type: 'TYPE_BEST', init: true }] } } : {}),
    });
    const reader = new EventReader(what, onEvent);
    let over = false;
    const end = (failure: BgpError): void => {
      if (over) return;
      over = true;
      onEvent({ kind: 'ended', failure });
    };
    call.on('data', (response: WatchEventResponse) => {
      if (!over) reader.take(response);
    });
    call.on('error', (error: ServiceError) => end(bgpError('WatchEvent', error)));
    call.on('end', () => end(new BgpError('unreachable', 'WatchEvent: gobgpd ended it')));
    return {
      close: () => {
        over = true;
        call.cancel();
      },
    };
  }

  watchDowns(onDown: (down: PeerDown) => void): Promise<{ close(): void }> {
    return watchDowns(this.calls, onDown);
  }

  isOurs(): Promise<boolean> {
    return this.policies.isOurs();
  }

  close(): void {
    this.calls.close();
  }

  private async listPeers(request: object): Promise<PeerMessage[]> {
    const answers = await this.calls.list<{ peer: PeerMessage }>('ListPeer', request);
    return answers.map(({ peer }) => peer);
  }

  /** Only of a session that is down: whatever waits in it is gone, and it dials at once. */
  private async addAnew(peer: PeerMessage): Promise<void> {
    const address = peer.conf.neighborAddress;
    await this.calls.unary('DeletePeer', { address }).catch(unlessRefused);
    // Somebody else may have added it meanwhile.
    await this.calls.unary('AddPeer', { peer: configOf(peer) }).catch(unlessRefused);
  }
}

/** A Peer as it was read, without what it is at the moment. */
function configOf({ conf, ebgpMultihop, ttlSecurity, timers, afiSafis }: PeerMessage): PeerMessage {
  return {
    conf,
    ebgpMultihop,
    ttlSecurity,
    timers: timers && { config: timers.config },
    transport: null,
    afiSafis: afiSafis.map(({ config, prefixLimits }) => ({ config, prefixLimits })),
  };
}

const isEstablished = (peer: PeerMessage): boolean =>
  peer.state?.sessionState === 'SESSION_STATE_ESTABLISHED';

const notificationsSent = (peer: PeerMessage): number =>
  peer.state?.messages?.sent?.notification ?? 0;
