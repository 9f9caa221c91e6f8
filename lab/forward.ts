/**
 * Makes a port of a lab host reachable on 127.0.0.1 outside: runs in the host, accepts on listening
 * sockets that were opened outside and handed over, connects inside. So there is no link to the lab.
 *
 * Arguments: the targets `address:port`, in the order in which the sockets are handed over.
 */
import { Server, connect } from 'node:net';
import type { Socket } from 'node:net';

function forward(client: Socket, target: string): void {
  const colon = target.lastIndexOf(':');
  const upstream = connect(Number(target.slice(colon + 1)), target.slice(0, colon));
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.setNoDelay(true);
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
    one.pipe(other);
  }
}

const targets = process.argv.slice(2);
process.on('message', (index: number, server: unknown) => {
  const target = targets[index];
  if (!(server instanceof Server) || target === undefined) return;
  server.on('connection', (client) => {
    forward(client, target);
  });
});
// The supervisor may end or be restarted; what was handed over stays.
process.on('disconnect', () => undefined);
