/**
 * Serves one feed in a host of the lab: the first that asks waits until it is told (a line on standard input), and
 * gets nothing; all others get a list. Each that asks is a line on standard output: its address.
 *
 *   node feed-server.js <address> <port>
 */
import { type ServerResponse, createServer } from 'node:http';

const [address, port] = process.argv.slice(2);
let first: ServerResponse | null | undefined;

createServer((request, response) => {
  if (first === undefined) first = response;
  else response.end('192.0.2.1\n');
  console.log(request.socket.remoteAddress ?? '');
}).listen(Number(port), address, () => console.log('listens'));

process.stdin.once('data', () => {
  first?.writeHead(404).end();
  first = null;
});
process.stdin.once('end', () => process.exit(0));
