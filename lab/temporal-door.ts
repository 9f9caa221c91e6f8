/**
 * What stands in front of the lab's Temporal: ends TLS for controllers, and passes their bytes on to the
 * server, which listens on the loopback of its host and knows no TLS itself.
 *
 * Arguments: `address:port` to listen on and to pass on to, then the paths of authorities, certificate, key.
 */
import { connect, type Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { identityOf } from '../adapters/ca/identity';
import { PemFiles } from '../adapters/grpc/tls';

const [listen = '', target = '', ca = '', cert = '', key = ''] = process.argv.slice(2);

const split = (address: string): { host: string; port: number } => {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
};

const files = PemFiles.open({ ca, cert, key }).watch();
const secured = () => ({ ca: files.ca, cert: files.cert, key: files.key });

const server = createServer(
  { ...secured(), requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'] },
  (client: TLSSocket) => {
    const identity = identityOf(client.getPeerCertificate());
    if (identity?.role !== 'controller') {
      console.error(`refused: ${identity ? `${identity.role}/${identity.id}` : 'nobody'}`);
      client.destroy();
      return;
    }
    join(client, connect(split(target)));
  },
);

function join(client: Socket, onward: Socket): void {
  for (const [one, other] of [
    [client, onward],
    [onward, client],
  ] as const) {
    one.setNoDelay(true);
    one.on('error', () => other.destroy()).on('close', () => other.destroy());
    one.pipe(other);
  }
}

files.onChange(() => {
  if (files.problem === null) server.setSecureContext(secured());
  else console.error(files.problem);
});
server.on('tlsClientError', (error) => console.error(`refused: ${error.message}`));
server.listen(split(listen));
