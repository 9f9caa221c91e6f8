/** For the pacer's tests: two namespaces on one wire, a pacer at this end and a peer at the other. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ControlPacket, encode } from '../../../core/bfd/packet';
import { native, type BfdPacer, type PacerEvent, type PacerSession } from '../native';
import { ip, testNamespace, uniqueName, waitFor } from '../test-support';
import type { PeerCommand, RawPacket, SeenEvent } from './bfd-peer';

export const HERE = { v4: '10.77.0.1', v6: 'fd77::1', link: 'fe80::1' } as const;
export const THERE = { v4: '10.77.0.2', v6: 'fd77::2', link: 'fe80::2' } as const;
export const SINGLE_HOP = 3784;
export const MULTIHOP = 4784;

type OfKind<K extends PacerEvent['kind']> = Extract<PacerEvent, { kind: K }>;

export class Wire {
  readonly events: PacerEvent[] = [];
  /** What the peer's pacer told. */
  readonly peerSaw: SeenEvent[] = [];
  pacer!: BfdPacer;
  private peer!: ChildProcess;

  private constructor(
    readonly namespace: string,
    /** The interfaces of this end and of the other. */
    readonly near: string,
    readonly far: string,
  ) {}

  static async up(t: TestContext): Promise<Wire> {
    const ns = await testNamespace(t, 'bfd');
    const wire = new Wire(ns.name ?? '', uniqueName('b'), uniqueName('c'));
    wire.connect();
    t.after(() => ip('link', 'delete', wire.near));
    wire.pacer = native.BfdPacer.open((events) => wire.events.push(...events));
    t.after(() => wire.pacer.close());
    await wire.startPeer(t);
    return wire;
  }

  set(session: Partial<PacerSession> & { discriminator: number }): void {
    this.pacer.set(sessionOf(session));
  }

  of<K extends PacerEvent['kind']>(kind: K): OfKind<K>[] {
    return this.events.filter((event): event is OfKind<K> => event.kind === kind);
  }

  packetsAtPeer(): SeenEvent[] {
    return this.peerSaw.filter(({ kind }) => kind === 'packet');
  }

  tell(command: PeerCommand): void {
    this.peer.send(command);
  }

  /** One packet of the peer, from a socket of its own. */
  raw(packet: Partial<RawPacket> & { hex: string }): void {
    const whole = { from: THERE.v4, to: HERE.v4, port: SINGLE_HOP, ttl: 255, ...packet };
    this.tell({ do: 'raw', packet: whole });
  }

  private connect(): void {
    const { near, far, namespace } = this;
    ip('link', 'set', 'lo', 'up');
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', namespace);
    for (const [where, name, address] of [
      [[], near, HERE],
      [['-n', namespace], far, THERE],
    ] as const) {
      // Before the link is up: no duplicate address detection, no address of the kernel's own.
      ip(...where, 'link', 'set', name, 'addrgenmode', 'none');
      ip(...where, 'address', 'add', `${address.v4}/24`, 'dev', name);
      ip(...where, 'address', 'add', `${address.v6}/64`, 'dev', name, 'nodad');
      ip(...where, 'address', 'add', `${address.link}/64`, 'dev', name, 'nodad');
      ip(...where, 'link', 'set', name, 'up');
    }
  }

  private async startPeer(t: TestContext): Promise<void> {
    this.peer = fork(join(__dirname, 'bfd-peer.js'), [], {
      execPath: 'ip',
      execArgv: ['netns', 'exec', this.namespace, process.execPath],
    });
    t.after(async () => {
      const ended = once(this.peer, 'exit');
      this.peer.disconnect();
      await ended;
    });
    let ready = false;
    this.peer.on('message', (events: SeenEvent[]) => {
      ready = true;
      this.peerSaw.push(...events);
    });
    await waitFor('the peer', () => ready);
  }
}

/** A session that sends nothing and watches nothing, but for what is said. */
export function sessionOf(
  session: Partial<PacerSession> & { discriminator: number },
): PacerSession {
  return {
    remote: THERE.v4,
    local: null,
    multihop: false,
    seamless: false,
    packet: null,
    pauseMinUs: 10_000,
    pauseMaxUs: 20_000,
    detectUs: 0,
    expect: null,
    ...session,
  };
}

export function controlPacket(fields: Partial<ControlPacket>): Uint8Array {
  return encode({
    diagnostic: 0,
    state: 'up',
    poll: false,
    final: false,
    independent: true,
    demand: false,
    multiplier: 3,
    myDiscriminator: 2,
    yourDiscriminator: 1,
    desiredMinTxUs: 10_000,
    requiredMinRxUs: 10_000,
    requiredMinEchoRxUs: 0,
    ...fields,
  });
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
