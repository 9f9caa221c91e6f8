/** `aether ca`: the certificate authority of a cluster, in a directory. */
import { Option } from 'commander';
import type { Command } from 'commander';
import {
  CaError,
  DEFAULT_DIRECTORY,
  caInit,
  caIssue,
  caReissue,
} from '../../adapters/ca/authority';
import type { Issued } from '../../adapters/ca/authority';
import { ROLES } from '../../adapters/ca/identity';
import { collect, examples, wholeNumber, withJson } from '../cli';
import type { Cli, OutputFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { registerRotate } from './ca-rotate';

interface CaFlags extends OutputFlags {
  dir: string;
}

interface IssueFlags extends CaFlags {
  dns?: string[];
  ip?: string[];
  days: number;
  again?: boolean;
}

const withDirectory = (command: Command): Command =>
  withJson(command).addOption(
    new Option('--dir <dir>', 'directory of the authority').default(DEFAULT_DIRECTORY),
  );

export function registerCa(program: Command, cli: Cli): void {
  const ca = program
    .command('ca')
    .description('make certificates for controllers, edges and operators');
  const show = (flags: CaFlags, issued: Issued): void => {
    cli.output(flags).result(issued, () => describe(issued));
  };

  withDirectory(ca.command('init'))
    .description('make the authority; one that is there is kept')
    .addHelpText('after', examples('aether ca init', 'aether ca init --dir /srv/ca'))
    .action(async (flags: CaFlags) => {
      show(flags, await guarded(caInit(flags.dir)));
    });

  withDirectory(ca.command('issue'))
    .description('issue a certificate; one that is there and good is kept')
    .argument('<role>', ROLES.join(', '))
    .argument('<id>', 'name of the node, controller or operator')
    .option('--dns <name>', 'DNS name it is dialled by; may be repeated', collect)
    .option('--ip <address>', 'address it is dialled by; may be repeated', collect)
    .option('--days <n>', 'days of validity', wholeNumber(1, 3650), 365)
    .addOption(
      new Option(
        '--again',
        'another one in the place of the one that is there, for the same names and as long',
      ).conflicts(['dns', 'ip', 'days']),
    )
    .addHelpText(
      'after',
      examples(
        'aether ca issue edge fra-1',
        'aether ca issue edge fra-1 --again',
        'aether ca issue etcd etcd-1 --ip 192.0.2.7',
      ),
    )
    .action(async (role: string, id: string, flags: IssueFlags) => {
      const known = ROLES.find((name) => name === role);
      if (known === undefined) {
        throw new CliError(EXIT.usage, `"${role}" is no role: ${ROLES.join(', ')}`);
      }
      if (flags.again === true) {
        show(flags, await guarded(caReissue(flags.dir, { role: known, id })));
        return;
      }
      const request = {
        role: known,
        id,
        dnsNames: flags.dns ?? [],
        ipAddresses: flags.ip ?? [],
        validDays: flags.days,
      };
      show(flags, await guarded(caIssue(flags.dir, request)));
    });

  registerRotate(ca, cli, guarded);
}

const describe = ({ created, certPath, keyPath, expiresAtMs }: Issued): string =>
  `${created ? 'Made' : 'Kept'} ${certPath} and ${keyPath}, good until ${new Date(expiresAtMs).toISOString().slice(0, 10)}.`;

async function guarded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof CaError) {
      const { code } = error.failure;
      throw new CliError(code === 'badName' ? EXIT.usage : EXIT.failed, error.message);
    }
    throw error;
  }
}
