/** A neighbour that says in its OPEN what nobody knows, and then only that it is alive. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

const MARKER = Buffer.alloc(16, 0xff);
const OPEN = 1;
const KEEPALIVE = 4;

const message = (type: number, body: Buffer): Buffer => {
  const head = Buffer.alloc(3);
  head.writeUInt16BE(19 + body.length, 0);
  head[2] = type;
  return Buffer.concat([MARKER, head, body]);
};

/** RFC 5492 §4: code, length, value. */
const capability = (code: number, value: number[]): number[] => [code, value.length, ...value];

function open(asn: number, routerId: string, capabilities: number[]): Buffer {
  const parameters = [2, capabilities.length, ...capabilities];
  const body = Buffer.from([
    4,
    asn >> 8,
    asn & 0xff,
    0,
    9,
    ...routerId.split('.').map(Number),
    parameters.length,
    ...parameters,
  ]);
  return message(OPEN, body);
}

/** Codes 65 (4-octet AS) and 1 (IPv4 unicast) are needed; 66, 200 and 239 are nobody's. */
const CAPABILITIES = [
  ...capability(200, [1, 2, 3]),
  ...capability(1, [0, 1, 0, 1]),
  ...capability(66, []),
  ...capability(
    239,
    Array.from({ length: 60 }, (_, i) => i),
  ),
];

/** Listens where it is run; ends when its standard input does. */
async function main([address = '', asn = '0']: string[]): Promise<void> {
  const server = createServer((socket: Socket) => {
    const four = capability(65, [0, 0, Number(asn) >> 8, Number(asn) & 0xff]);
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(open(Number(asn), '10.99.0.66', [...CAPABILITIES, ...four]));
      socket.write(message(KEEPALIVE, Buffer.alloc(0)));
    });
    const beat = setInterval(() => socket.write(message(KEEPALIVE, Buffer.alloc(0))), 1_000);
    socket.once('close', () => clearInterval(beat));
  });
  server.listen(179, address);
  await once(server, 'listening');
}

if (require.main === module) void main(process.argv.slice(2));
