/** The way to a controller: opens the admin API, translates its errors, closes it again. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { AdminClient } from '../adapters/admin/client';
import { isRoot, labsUp, socketsOfLab } from './cli';
import type { AdminWay, Cli, ServerFlags } from './cli';
import { CliError, EXIT } from './exit-codes';
import { adminError, details, statusOf } from './grpc-errors';
import { tell, toldIfSlow } from './slow';
import { pemTrouble, type Pems, tlsTrouble } from './tls-trouble';

/** The next one is asked as well when one has not answered within this (RFC 8305 §5 has 250 ms for addresses). */
const STAGGER_MS = 350;
/** One that has not answered by then is not there; a busy one has. */
const ANSWER_MS = 5_000;

/** Before who was asked, or another one, is asked again. */
const LOOK_AGAIN_MS = 500;

/**
 * A look, for whoever waits: where the controller that was asked is away, or lacks what it needs itself, it is put to the
 * next one, until `endsAt` (performance.now()). Never for what changes something.
 */
export type Look = <T>(endsAt: number, ask: (client: AdminClient) => Promise<T>) => Promise<T>;

export async function withAdmin<T>(
  cli: Cli,
  flags: ServerFlags,
  work: (client: AdminClient, look: Look) => Promise<T>,
): Promise<T> {
  const way = cli.adminWay(flags);
  const places = way.kind === 'servers' ? way.servers : way.paths;
  const tls = way.kind === 'servers' ? pemsOf(way.tls) : null;
  const pick = (among: readonly string[]): Promise<Found> => firstOf(way, among, tls, cli.caller);
  let asked = await pick(places);
  const look: Look = async (endsAt, ask) => {
    let order: string[] | null = null;
    for (;;) {
      try {
        if (order !== null) asked = await pick(order);
        return await ask(asked.client);
      } catch (error) {
        if (!isAway(error) || performance.now() > endsAt) throw error;
        asked.client.close();
        const others = places.filter((place) => place !== asked.where);
        if (order === null) tell(awayText(error, asked.where, others));
        // Who was asked last is tried last.
        order = [...others, asked.where];
        await delay(LOOK_AGAIN_MS);
      }
    }
  };
  try {
    return await work(asked.client, look);
  } catch (error) {
    const { where } = asked;
    throw (await refusedThere(error, [where], tls)) ?? adminError(error, where, hintFor(way));
  } finally {
    asked.client.close();
  }
}

function awayText(error: unknown, where: string, others: readonly string[]): string {
  const said = statusOf(error) === null ? (error as Error).message : details(error);
  return `${where}: ${said}; asking ${others.length === 0 ? 'again' : others.join(', ')} …`;
}

/** Nobody is there, or who is lacks etcd or Temporal at this moment. */
function isAway(error: unknown): boolean {
  const told = adminError(error, '', '');
  return told instanceof CliError && told.exitCode === EXIT.unreachable;
}

/** What to look at where nobody answers. */
function hintFor(way: AdminWay): string {
  if (way.kind === 'servers')
    return 'Do they run? Is their port (AETHER_ADMIN_LISTEN) open to here?';
  if (!isRoot()) return 'Does it run? Its socket is for root: run it with sudo.';
  const labs = labsUp();
  const [only, ...more] = way.paths;
  const lab = labs.find((name) => {
    const sockets = socketsOfLab(name);
    return sockets.length > 1 && more.length === 0 && sockets.includes(only ?? '');
  });
  if (lab !== undefined) return `Any of its controllers that answers is asked by: --lab ${lab}`;
  return labs.length < 2
    ? 'Does it run? A lab is brought up by: aether lab up'
    : `Several labs are up (${labs.join(', ')}); to mean one: --lab ${labs[0] ?? ''}`;
}

interface Found {
  client: AdminClient;
  where: string;
}

/** Of several the first that answers. One alone is not asked first whether it is there. */
async function firstOf(
  way: AdminWay,
  places: readonly string[],
  tls: Pems | null,
  by: string,
): Promise<Found> {
  const all = places.map((where) => {
    const client = new AdminClient(tls === null ? where : { server: where, tls }, by);
    client.onSlow = () => tell(`Waiting for ${where} …`);
    return { where, client };
  });
  const [only, ...more] = all;
  if (only !== undefined && more.length === 0) return only;
  const errors: unknown[] = [];
  const first = await toldIfSlow(`Waiting for any of ${places.join(', ')} …`, race(all, errors));
  for (const each of all) if (each !== first) each.client.close();
  if (first !== null) return first;
  const refused = await refusedThere(errors[0], places, tls);
  if (refused !== null) throw refused;
  const said = new Set(
    errors.map((error) => (statusOf(error) === null ? String(error) : details(error))),
  );
  const message = `No controller answers on ${places.join(', ')}: ${[...said].join('; ')}`;
  throw new CliError(EXIT.unreachable, message, hintFor(way));
}

/** Null: all have failed, and `errors` says with what. */
function race(all: readonly Found[], errors: unknown[]): Promise<Found | null> {
  return new Promise((resolve) => {
    let begun = 0;
    let timer: NodeJS.Timeout | undefined;
    const next = (): void => {
      clearTimeout(timer);
      const one = all[begun];
      if (one === undefined) return;
      begun++;
      timer = setTimeout(next, STAGGER_MS);
      const answered = (): void => {
        clearTimeout(timer);
        begun = all.length;
        resolve(one);
      };
      one.client.alive(ANSWER_MS).then(answered, (error: unknown) => {
        errors.push(error);
        if (errors.length === all.length) resolve(null);
        else next();
      });
    };
    next();
  });
}

/** Where one of them runs, but certificates keep us out: what is wrong with them; else null. */
async function refusedThere(
  error: unknown,
  servers: readonly string[],
  tls: Pems | null,
): Promise<CliError | null> {
  if (tls === null || statusOf(error) === null || !isAway(error)) return null;
  const troubles = await Promise.all(servers.map((server) => tlsTrouble(server, tls)));
  const trouble = troubles.find((each) => each !== null);
  return trouble ? new CliError(EXIT.forbidden, trouble.what, trouble.todo) : null;
}

function pemsOf(paths: { ca: string; cert: string; key: string }): Pems {
  const { ca, cert, key } = paths;
  const pems = { paths, ca: readPem(ca), cert: readPem(cert), key: readPem(key) };
  const trouble = pemTrouble(pems);
  if (trouble !== null) throw new CliError(EXIT.forbidden, trouble.what, trouble.todo);
  return pems;
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CliError(EXIT.notFound, `${path} can't be read: ${(error as Error).message}`);
  }
}
