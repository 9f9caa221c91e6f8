/** UDP and TCP on one address and port. */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { type Address as IpAddress, formatAddress, parseAddress } from '../../core/model/prefix';
import type { Address } from '../../core/swim/types';
import { SwimError } from './errors';

export interface Sockets {
  address: Address;
  udp: DatagramSocket;
  tcp: Server;
}

/** A port that is free for TCP may be taken for UDP. */
const TRIES = 10;
/** Of a second or more in which this process does not read. */
const RECEIVE_BUFFER_BYTES = 1 << 20;

/** `listen`: an IP address and a port; port 0 takes any that is free for both. Throws SwimError. */
export async function openSockets(listen: string): Promise<Sockets> {
  const { host, port } = hostPort(listen);
  const address = parseAddress(host);
  const refuse = (why: string): never => {
    throw new SwimError({ code: 'address', listen, why });
  };
  if (address === null) return refuse('is no IP address and port');
  if (!reachable(address)) return refuse('is an address where nobody reaches us');
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) return refuse('has no port');
  const ip = formatAddress(address);
  for (let tries = port === 0 ? TRIES : 1; ; tries -= 1) {
    const tcp = createServer({ noDelay: true });
    try {
      tcp.listen(port, ip);
      await once(tcp, 'listening');
      const { port: taken } = tcp.address() as AddressInfo;
      const udp = await bind(address.family, ip, taken);
      return { address: { ip, port: taken }, udp, tcp };
    } catch (error) {
      await new Promise((resolve) => tcp.close(resolve));
      if (tries > 1) continue;
      throw new SwimError({ code: 'listen', listen, said: (error as Error).message });
    }
  }
}

async function bind(family: 4 | 6, ip: string, port: number): Promise<DatagramSocket> {
  const type = family === 4 ? 'udp4' : 'udp6';
  const udp = createSocket({ type, recvBufferSize: RECEIVE_BUFFER_BYTES });
  try {
    udp.bind({ address: ip, port, exclusive: true });
    await once(udp, 'listening');
    return udp;
  } catch (error) {
    udp.close();
    throw error;
  }
}

/** Neither unspecified nor multicast; loopback is for clusters on one machine. */
const reachable = ({ family, bits }: IpAddress): boolean =>
  bits !== 0n && (family === 4 ? bits >> 28n < 0xen : bits >> 120n !== 0xffn);

/** `host:port`, `[v6]:port`. */
export function hostPort(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(text.slice(colon + 1)) };
}
