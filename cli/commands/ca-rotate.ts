/** `aether ca rotate`: another authority, step by step, and what to do on which host after each. */
import type { Command } from 'commander';
import {
  beginRotation,
  finishRotation,
  type Leaf,
  type Rotation,
  rotationOf,
  reissueAll,
} from '../../adapters/ca/rotation';
import type { CertificateView, ClusterStatus } from '../../core/model/views';
import { withAdmin } from '../admin';
import { examples, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { plural } from '../output';

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
    .option('--confirmed', 'finish: every host has its new certificate')
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

/** What a controller that answers here says of its own certificates; null where none answers. */
async function asked(cli: Cli, flags: ServerFlags): Promise<ClusterStatus | null> {
  try {
    return await withAdmin(cli, flags, (client) => client.status());
  } catch (error) {
    if (error instanceof CliError && error.exitCode === EXIT.unreachable) return null;
    throw error;
  }
}

/** Certificates of the new authority must not come before everybody believes them. */
async function assertTrusted(cli: Cli, flags: RotateFlags, rotation: Rotation): Promise<void> {
  const status = await asked(cli, flags);
  const lacking = lackingTrust(status?.certificates ?? [], rotation);
  if (status === null || lacking.length === 0) return;
  throw new CliError(
    EXIT.failed,
    `${status.controller} does not trust the new authority yet (${lacking.map(({ what }) => what).join(', ')}); nothing was written; carry ${flags.dir}/ca.pem there first`,
  );
}

/** Those that go by our authority and do not believe the next one; Temporal or etcd may have one of their own. */
export const lackingTrust = (
  certificates: readonly CertificateView[],
  { old, next }: Pick<Rotation, 'old' | 'next'>,
): CertificateView[] =>
  certificates.filter(
    ({ trusted }) => trusted.includes(old ?? '') && !trusted.includes(next ?? ''),
  );

async function assertReissued(
  cli: Cli,
  flags: RotateFlags,
  { old, stage }: Rotation,
): Promise<void> {
  const status = await asked(cli, flags);
  const still = (status?.certificates ?? []).filter(({ authority }) => authority === old);
  if (status !== null && still.length > 0) {
    throw new CliError(
      EXIT.failed,
      `${status.controller} still shows a certificate of the old authority (${still.map(({ what }) => what).join(', ')}); nothing was written; ${stage === 'begun' ? 'issue them again first: aether ca rotate reissue' : 'carry its new one there first'}`,
    );
  }
  if (flags.confirmed === true || old === null) return;
  throw new CliError(
    EXIT.failed,
    'whoever has no new certificate is out after this, and not every host can be asked from here; nothing was written; with --confirmed it goes on',
  );
}

const listed = (leaves: Leaf[]): string[] => leaves.map(({ role, id }) => `  ${role}/${id}`);

function told(step: string | undefined, rotation: Rotation, { dir }: RotateFlags): string {
  const { stage, pending, reissued } = rotation;
  const hosts = [...pending, ...reissued];
  if (stage === 'none') {
    return step === 'finish'
      ? [
          'The old authority is retired.',
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
    'When all of them are there: aether ca rotate finish --confirmed',
  ].join('\n');
}
