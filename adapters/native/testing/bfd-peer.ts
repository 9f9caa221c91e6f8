/**
 * The far end of the pacer's tests, a process of its own in a namespace: a second pacer that tells all it
 * hears, with the kernel's stamps, and sockets that send what no pacer would. Speaks JSON over its IPC.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { native, type PacerEvent, type PacerSession } from '../native';

/** An event as it crosses: times as text, packets as hex. */
export type SeenEvent = Record<string, unknown> & {
  kind: PacerEvent['kind'];
  discriminator: number;
  atNs?: string;
  packet?: string;
  source?: string;
  lateUs?: number;
};

export interface RawPacket {
  hex: string;
  from: string;
  to: string;
  port: number;
  ttl: number;
}

/** `packet` as hex. */
export type PeerSession = Omit<PacerSession, 'packet' | 'expect'> & { packet: string | null };

export type PeerCommand =
  | { do: 'set'; session: PeerSession }
  | { do: 'send'; discriminator: number; hex: string }
  | { do: 'raw'; packet: RawPacket };

function seen(event: PacerEvent): SeenEvent {
  const text = { ...event } as Record<string, unknown>;
  if ('atNs' in event) text['atNs'] = String(event.atNs);
  if ('packet' in event) text['packet'] = event.packet.toString('hex');
  return text as SeenEvent;
}

async function raw({ hex, from, to, port, ttl }: RawPacket): Promise<void> {
  const socket = createSocket(to.includes(':') ? 'udp6' : 'udp4');
  socket.bind(0, from);
  await once(socket, 'listening');
  socket.setTTL(ttl);
  await new Promise((sent) => socket.send(Buffer.from(hex, 'hex'), port, to, sent));
  socket.close();
}

const pacer = native.BfdPacer.open((events) => process.send?.(events.map(seen)));

process.on('message', (command: PeerCommand) => {
  if (command.do === 'raw') void raw(command.packet);
  else if (command.do === 'send') {
    pacer.send(command.discriminator, Buffer.from(command.hex, 'hex'));
  } else {
    const { packet, ...rest } = command.session;
    const bytes = packet === null ? null : Buffer.from(packet, 'hex');
    pacer.set({ ...rest, packet: bytes, expect: null });
  }
});
process.on('disconnect', () => process.exit(0));
process.send?.([]);
