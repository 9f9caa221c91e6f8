/** The way to a controller: opens the admin API, translates its errors, closes it again. */
import { hostname, userInfo } from 'node:os';
import { AdminClient } from '../adapters/admin/client';
import type { Cli, ServerFlags } from './cli';
import { adminError } from './grpc-errors';

/** For the audit trail; under sudo, who it was before. */
const caller = (cli: Cli): string => `${cli.env['SUDO_USER'] ?? userInfo().username}@${hostname()}`;

export async function withAdmin<T>(
  cli: Cli,
  flags: ServerFlags,
  work: (client: AdminClient) => Promise<T>,
): Promise<T> {
  const socket = await cli.adminSocket(flags);
  using client = new AdminClient(socket, caller(cli));
  try {
    return await work(client);
  } catch (error) {
    throw adminError(error, socket);
  }
}
