/** `aether ca rotate`: another authority, step by step, and what to do on which host after each. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { DEFAULT_DIRECTORY, inDirectory } from '../../adapters/ca/authority';
import {
  beginRotation,
  finishRotation,
  type Leaf,
  type Rotation,
  rotationOf,
  reissueAll,
} from '../../adapters/ca/rotation';
import { withAdmin } from '../admin';
import { examples, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { plural } from '../output';
import { type Cluster, standOf } from '../rotation-stand';

interface RotateFlags extends ServerFlags {
  dir: string;
  /** True: all who can't be asked. */
  confirmed?: boolean | string[];
}

export const STEPS = ['begin', 'reissue', 'finish'] as const;

export function registerRotate(ca: Command, cli: Cli, guarded: Guarded): void {
  withServer(ca.command('rotate'))
    .description(
      'put another authority in the place of the present one; without a step: where it stands',
    )
    .argument('[step]', STEPS.join(', '))
    .option('--dir <dir>', 'directory of the authority', DEFAULT_DIRECTORY)
    .option(
      '--confirmed [name...]',
      'reissue, finish: these, who cannot be asked, have what the step takes, as edge/fra-1; without a name: all of them',
    )
    .addHelpText(
      'after',
      examples(
        'aether ca rotate begin',
        'aether ca rotate reissue --confirmed edge/fra-1 etcd/etcd-1',
        'aether ca rotate finish --confirmed',
      ),
    )
    .action(async (step: string | undefined, flags: RotateFlags) => {
      const rotation = await guarded(stepOf(cli, step, flags));
      cli
        .output(flags)
        .result({ step: step ?? null, ...rotation }, () => told(step, rotation, flags));
    });
}

type Guarded = <T>(work: Promise<T>) => Promise<T>;

async function stepOf(cli: Cli, step: string | undefined, flags: RotateFlags): Promise<Rotation> {
  const names = Array.isArray(flags.confirmed) ? flags.confirmed : [];
  // Also the step, where it stands behind the flag.
  const wrong = names.find((name) => !name.includes('/'));
  if (wrong !== undefined) {
    throw new CliError(EXIT.usage, `"${wrong}" is nobody to confirm; write role/id, as edge/fra-1`);
  }
  switch (step) {
    case undefined:
      return rotationOf(flags.dir);
    case 'begin':
      return beginRotation(flags.dir);
    case 'reissue':
      await assertReady('reissue', cli, flags, rotationOf(flags.dir));
      return reissueAll(flags.dir);
    case 'finish':
      await assertReady('finish', cli, flags, rotationOf(flags.dir));
      return finishRotation(flags.dir);
    default:
      throw new CliError(EXIT.usage, `"${step}" is no step: ${STEPS.join(', ')}`);
  }
}

/** What a controller that answers here says of all of them, and of the nodes; null where none answers. */
async function asked(cli: Cli, flags: ServerFlags): Promise<Cluster | null> {
  try {
    return await withAdmin(cli, flags, async (client) => {
      const [status, nodes] = await Promise.all([client.status(), client.get()]);
      return { controllers: status.controllers, nodes };
    });
  } catch (error) {
    if (error instanceof CliError && error.exitCode === EXIT.unreachable) return null;
    throw error;
  }
}

/**
 * Certificates of the new authority must not come before everybody believes them, nor the old one go while anybody shows it.
 * Nobody is taken on a word of whom it is known that the word is wrong.
 */
async function assertReady(
  step: 'reissue' | 'finish',
  cli: Cli,
  flags: RotateFlags,
  rotation: Rotation,
): Promise<void> {
  if (rotation.old === null) return;
  const { behind, unasked } = standOf(step, rotation, await asked(cli, flags), issuedAtMs);
  const { confirmed = false } = flags;
  const isTaken = (line: string): boolean =>
    typeof confirmed === 'boolean' ? confirmed : confirmed.includes(nameIn(line));
  const open = unasked.filter((line) => !isTaken(line));
  if (behind.length > 0) {
    const covered =
      unasked.length === 0 ? [] : ['Of these nobody knows here; --confirmed is for them alone:'];
    const message = [
      `not everybody ${BEHIND[step]} the new authority yet; nothing was written; ${firstTodo(step, rotation, flags)}`,
      ...indented(behind),
      ...covered,
      ...indented(unasked),
    ].join('\n');
    throw new CliError(EXIT.failed, message, null, { behind, unasked });
  }
  if (open.length > 0) {
    const names = open.length > NAMED_AT_MOST ? [] : unasked.map(nameIn);
    const again = [`aether ca rotate ${step}${inDirectory(flags.dir)} --confirmed`, ...names].join(
      ' ',
    );
    throw new CliError(
      EXIT.failed,
      `of these nobody knows here whether they ${UNKNOWN[step]}:\n${indented(open).join('\n')}\nNothing was written.`,
      `Look at each; when all of them have it: ${again}`,
      { behind, unasked: open },
    );
  }
  // It may be somebody else by now than when it was refused.
  if (unasked.length > 0) {
    cli.output(flags).progress(`Taken on your word:\n${indented(unasked).join('\n')}`);
  }
}

const BEHIND = { reissue: 'trusts', finish: 'goes by' };
const UNKNOWN = {
  reissue: 'trust the new authority, and who does not shuts the others out after this',
  finish: 'go by the new authority, and who does not is out after this',
};

/** More of them in one command nobody reads. */
const NAMED_AT_MOST = 6;

function firstTodo(step: 'reissue' | 'finish', { stage }: Rotation, flags: RotateFlags): string {
  if (step === 'reissue') return `carry ${flags.dir}/ca.pem there first`;
  return stage === 'begun'
    ? `issue them again first: aether ca rotate reissue${inDirectory(flags.dir)}`
    : `carry there from ${flags.dir} what is missing`;
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

/** The `role/id` that a line begins with. */
const nameIn = (line: string): string => line.slice(0, line.indexOf(':'));

const issuedAtMs = ({ certPath }: Leaf): number =>
  Date.parse(new X509Certificate(readFileSync(certPath)).validFrom);

const listed = (leaves: Leaf[]): string[] => leaves.map(({ role, id }) => `  ${role}/${id}`);

function told(step: string | undefined, rotation: Rotation, flags: RotateFlags): string {
  const { dir } = flags;
  const there = inDirectory(flags.dir);
  const { stage, pending, reissued } = rotation;
  const hosts = [...pending, ...reissued];
  if (stage === 'none') {
    return step === 'finish'
      ? [
          'One authority alone is in ca.pem: if a rotation was under way, the old one is retired.',
          `Carry ${dir}/ca.pem to every host once more; restart etcd's members, one after another:`,
          'until then they believe the old one as well.',
        ].join('\n')
      : `No rotation is under way; one begins with: aether ca rotate begin${there}`;
  }
  if (stage === 'begun') {
    return [
      `There is a new authority beside the old one; ${dir}/ca.pem holds both.`,
      `Carry it to the hosts of these ${plural(hosts.length, 'certificate')}, in the place of their ca.pem; controllers and agents`,
      'take it within seconds. Restart etcd members, one after another: they read it when they start.',
      ...listed(hosts),
      `Then: aether ca rotate reissue${there}`,
    ].join('\n');
  }
  return [
    `The new authority signs; ${reissued.length} of ${plural(hosts.length, 'certificate')} are issued again.`,
    ...(pending.length === 0 ? [] : [`The others wait for: aether ca rotate reissue${there}`]),
    `Carry from ${dir} to its host, as <role>/<id>.pem and .key; nothing has to be restarted:`,
    ...listed(reissued),
    `When all of them are there: aether ca rotate finish${there}`,
  ].join('\n');
}
