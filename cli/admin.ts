/** The way to a controller: opens the admin API, translates its errors, closes it again. */
import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { AdminClient } from '../adapters/admin/client';
import { labsUp } from './cli';
import type { AdminWay, Cli, ServerFlags } from './cli';
import { CliError, EXIT } from './exit-codes';
import { adminError } from './grpc-errors';

/** For the audit trail; under sudo, who it was before. */
const caller = (cli: Cli): string => `${cli.env['SUDO_USER'] ?? userInfo().username}@${hostname()}`;

/** One that does not answer within this is passed over, where there is another one. */
const ANSWER_MS = 2_000;

export async function withAdmin<T>(
  cli: Cli,
  flags: ServerFlags,
  work: (client: AdminClient) => Promise<T>,
): Promise<T> {
  const way = await cli.adminWay(flags);
  const { client, where } = await firstOf(way, caller(cli));
  using open = client;
  try {
    return await work(open);
  } catch (error) {
    throw adminError(error, where, hintFor(way));
  }
}

/** What to look at where nobody answers. */
function hintFor(way: AdminWay): string {
  if (way.kind === 'servers') {
    return 'Does it run? Are --tls-ca and --tls-cert of the authority of that controller (docs/notes/roles.md)?';
  }
  const labs = labsUp();
  return labs.length < 2
    ? 'Does it run, and are you root? A lab is brought up by: aether lab up'
    : `Several labs are up (${labs.join(', ')}); to mean one: aether lab exec --name ${labs[0] ?? ''} ctl-1 -- aether …`;
}

/** Of several the first that answers; the last one where none does: its error says why. */
async function firstOf(way: AdminWay, by: string): Promise<{ client: AdminClient; where: string }> {
  if (way.kind === 'socket') return { client: new AdminClient(way.path, by), where: way.path };
  const tls = {
    ca: readPem(way.tls.ca),
    cert: readPem(way.tls.cert),
    key: readPem(way.tls.key),
  };
  for (const server of way.servers.slice(0, -1)) {
    const client = new AdminClient({ server, tls }, by);
    try {
      await client.ready(ANSWER_MS);
      return { client, where: server };
    } catch {
      client.close();
    }
  }
  const server = way.servers.at(-1) ?? '';
  return { client: new AdminClient({ server, tls }, by), where: way.servers.join(', ') };
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CliError(EXIT.notFound, `${path} can't be read: ${(error as Error).message}`);
  }
}
