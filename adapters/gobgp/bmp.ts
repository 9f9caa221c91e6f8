/**
 * Why sessions go down: gobgpd's API does not tell (disconnect_reason stays empty over gRPC), its BMP
 * does (RFC 7854 §4.9: Peer Down with the NOTIFICATION). It dials us on the loopback.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { notificationOf, type PeerDown } from '../../core/bgp/notification';
import type { Calls } from './calls';
import { unlessRefused } from './policies';

/** Ours by its address: what others listen on is 127.0.0.1, and their stations are not ours to delete. */
const LOOPBACK = '127.0.179.11';
/**
 * The policy "both", which 4.8.0 takes and does nothing for: peers alone. Unspecified would be "pre",
 * every route of every neighbour.
 */
const PEERS_ALONE = 'MONITORING_POLICY_BOTH';

interface Station {
  station: { conf: { address: string; port: number } | null } | null;
}

export async function watchDowns(
  calls: Calls,
  onDown: (down: PeerDown) => void,
): Promise<{ close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    readMessages(socket, onDown);
  });
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  try {
    const port = await listen(server);
    await forgetOthers(calls);
    await calls.unary('AddBmp', { address: LOOPBACK, port, policy: PEERS_ALONE });
    const forget = (): void =>
      void calls.unary('DeleteBmp', { address: LOOPBACK, port }).catch(() => undefined);
    return {
      close: () => {
        forget();
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  // It shall keep no process alive.
  server.unref();
  return (server.address() as AddressInfo).port;
}

/** Of an agent before this one: gobgpd would dial them for ever. */
async function forgetOthers(calls: Calls): Promise<void> {
  for (const { station } of await calls.list<Station>('ListBmp', {})) {
    if (station?.conf?.address !== LOOPBACK) continue;
    await calls.unary('DeleteBmp', station.conf).catch(unlessRefused);
  }
}

const HEADER_BYTES = 6;
const PEER_HEADER_BYTES = 42;
const VERSION = 3;
const PEER_DOWN = 2;
/** Of a Peer Up with two OPENs of the greatest length, RFC 8654. */
const MAX_MESSAGE_BYTES = 1 << 18;

function readMessages(socket: Socket, onDown: (down: PeerDown) => void): void {
  let pending = Buffer.alloc(0);
  socket.unref();
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= HEADER_BYTES) {
      const length = pending.readUInt32BE(1);
      if (pending[0] !== VERSION || length < HEADER_BYTES || length > MAX_MESSAGE_BYTES) {
        socket.destroy();
        return;
      }
      if (pending.length < length) return;
      const down = peerDown(pending.subarray(0, length));
      pending = pending.subarray(length);
      if (down !== null) onDown(down);
    }
  });
}

/** RFC 7854 §4.9; null for any other message, and for one that is too short. */
export function peerDown(message: Buffer): PeerDown | null {
  const body = message.subarray(HEADER_BYTES + PEER_HEADER_BYTES);
  const reason = body[0];
  if (message[5] !== PEER_DOWN || reason === undefined) return null;
  return {
    address: peerAddress(message.subarray(HEADER_BYTES)),
    by: REASONS[reason] ?? 'nobody',
    notification: notificationOfMessage(body.subarray(1)),
    deconfigured: reason === DECONFIGURED,
  };
}

const DECONFIGURED = 5;
const REASONS: Readonly<Record<number, PeerDown['by']>> = { 1: 'us', 2: 'us', 3: 'peer' };

/** Flag V: IPv6; IPv4 stands in the last 4 of 16 bytes. */
function peerAddress(header: Buffer): string {
  const bytes = header.subarray(10, 26);
  if (((header[1] ?? 0) & 0x80) === 0) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

const MARKER_BYTES = 16;
const NOTIFICATION = 3;

/** Header of RFC 4271 §4.1, then code, subcode, data. */
function notificationOfMessage(bytes: Buffer): PeerDown['notification'] {
  const [code, subcode] = bytes.subarray(MARKER_BYTES + 3);
  if (bytes[MARKER_BYTES + 2] !== NOTIFICATION || code === undefined || subcode === undefined) {
    return null;
  }
  return notificationOf(code, subcode, bytes.subarray(MARKER_BYTES + 5));
}
