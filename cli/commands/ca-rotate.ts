/** `aether ca rotate`: another authority, step by step, and what to do on which host after each. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
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
import { type Cluster, lackingTrust, standOf } from '../rotation-stand';

interface RotateFlags extends ServerFlags {
  dir: string;
  confirmed?: boolean;
}

export const STEPS = ['begin', 'reissue', 'finish'] as const;

export function registerRotate(ca: Command, cli: Cli, guarded: Guarded): void {
  withServer(ca.command('rotate'))
    .description(
      'put another authority in the place of the present one; without a step: where it stands',
    )
    .argument('[step]', STEPS.join(', '))
    .option('--dir <dir>', 'directory of the authority', '/etc/aether/ca')
    .option('--confirmed', 'finish: those who cannot be asked have their new certificate')
    .addHelpText(
      'after',
      examples(
        'aether ca rotate begin',
        'aether ca rotate reissue',
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
  switch (step) {
    case undefined:
      return rotationOf(flags.dir);
    case 'begin':
      return beginRotation(flags.dir);
    case 'reissue':
      await assertTrusted(cli, flags, rotationOf(flags.dir));
      return reissueAll(flags.dir);
    case 'finish':
      await assertReissued(cli, flags, rotationOf(flags.dir));
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

const idsOf = (controllers: Cluster['controllers']): string =>
  controllers.map(({ id }) => `controller/${id}`).join(', ');

/** Certificates of the new authority must not come before everybody believes them. */
async function assertTrusted(cli: Cli, flags: RotateFlags, rotation: Rotation): Promise<void> {
  const cluster = await asked(cli, flags);
  const silent = (cluster?.controllers ?? []).filter(({ certificates }) => !certificates);
  if (cluster === null || silent.length > 0) {
    const whom = cluster === null ? 'No controller answers' : idsOf(silent);
    const line = `${whom}: not asked whether the new authority is trusted`;
    cli.output(flags).progress(line);
  }
  const lacking = (cluster?.controllers ?? []).flatMap(({ id, certificates }) =>
    lackingTrust(certificates ?? [], rotation).map(({ what }) => `controller/${id} (${what})`),
  );
  if (lacking.length === 0) return;
  throw new CliError(
    EXIT.failed,
    `not everybody trusts the new authority yet: ${lacking.join(', ')}; nothing was written; carry ${flags.dir}/ca.pem there first`,
  );
}

async function assertReissued(cli: Cli, flags: RotateFlags, rotation: Rotation): Promise<void> {
  if (rotation.old === null) return;
  const { behind, unasked } = standOf(rotation, await asked(cli, flags), issuedAtMs);
  if (behind.length > 0) {
    const first =
      rotation.stage === 'begun'
        ? 'issue them again first: aether ca rotate reissue'
        : `carry there from ${flags.dir} what is missing`;
    const lines = [...behind, ...unasked].map((line) => `  ${line}`);
    throw new CliError(
      EXIT.failed,
      `not everybody goes by the new authority yet; nothing was written; ${first}\n${lines.join('\n')}`,
      null,
      { behind, unasked },
    );
  }
  if (unasked.length === 0) return;
  const lines = unasked.map((line) => `  ${line}`);
  if (flags.confirmed === true) {
    // It may be somebody else by now than when it was refused.
    cli.output(flags).progress(`Taken on your word:\n${lines.join('\n')}`);
    return;
  }
  throw new CliError(
    EXIT.failed,
    `of these nobody knows here whether they go by the new authority, and who does not is out after this:\n${lines.join('\n')}\nNothing was written.`,
    'Look at each; when all of them have it: aether ca rotate finish --confirmed',
    { behind, unasked },
  );
}

const issuedAtMs = ({ certPath }: Leaf): number =>
  Date.parse(new X509Certificate(readFileSync(certPath)).validFrom);

const listed = (leaves: Leaf[]): string[] => leaves.map(({ role, id }) => `  ${role}/${id}`);

function told(step: string | undefined, rotation: Rotation, { dir }: RotateFlags): string {
  const { stage, pending, reissued } = rotation;
  const hosts = [...pending, ...reissued];
  if (stage === 'none') {
    return step === 'finish'
      ? [
          'One authority alone is in ca.pem: if a rotation was under way, the old one is retired.',
          `Carry ${dir}/ca.pem to every host once more; restart etcd's members, one after another:`,
          'until then they believe the old one as well.',
        ].join('\n')
      : 'No rotation is under way; one begins with: aether ca rotate begin';
  }
  if (stage === 'begun') {
    return [
      `There is a new authority beside the old one; ${dir}/ca.pem holds both.`,
      `Carry it to the hosts of these ${plural(hosts.length, 'certificate')}, in the place of their ca.pem; controllers and agents`,
      'take it within seconds. Restart etcd members, one after another: they read it when they start.',
      ...listed(hosts),
      'Then: aether ca rotate reissue',
    ].join('\n');
  }
  return [
    `The new authority signs; ${reissued.length} of ${plural(hosts.length, 'certificate')} are issued again.`,
    ...(pending.length === 0 ? [] : ['The others wait for: aether ca rotate reissue']),
    `Carry from ${dir} to its host, as <role>/<id>.pem and .key; nothing has to be restarted:`,
    ...listed(reissued),
    'When all of them are there: aether ca rotate finish',
  ].join('\n');
}
