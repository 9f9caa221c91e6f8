/** `aether validate` and `aether schema`: everything that can be known without a server. */
import type { Command } from 'commander';
import { type Kind, KINDS } from '../../core/model/resources';
import { collect, examples, withJson } from '../cli';
import type { Cli, OutputFlags } from '../cli';
import { needKind } from '../kinds';
import { plural } from '../output';
import { checkedResources } from '../resources';

export const FILE_OPTION = [
  '-f, --file <path>',
  'file, directory, or - for standard input; may be repeated',
] as const;

export interface FileFlags extends OutputFlags {
  file: string[];
}

export function registerValidate(program: Command, cli: Cli): void {
  withJson(program.command('validate'))
    .description(
      'check resources completely, offline; each error says where, what, and what would be right',
    )
    .requiredOption(...FILE_OPTION, collect)
    .addHelpText(
      'after',
      examples('aether validate -f examples/lab', 'cat node.yaml | aether validate -f -'),
    )
    .action((flags: FileFlags) => {
      const { loaded, files } = checkedResources(flags.file);
      const named = (wanted: Kind): string[] =>
        loaded.flatMap(({ resource: { kind, metadata } }) =>
          kind === wanted ? [metadata.name] : [],
        );
      const nodes = named('Node');
      const [blocklists, services] = [named('Blocklist'), named('AnycastService')];
      const counts = [
        ...(nodes.length > 0 ? [plural(nodes.length, 'node')] : []),
        ...(blocklists.length > 0 ? [plural(blocklists.length, 'blocklist')] : []),
        ...(services.length > 0 ? [plural(services.length, 'service')] : []),
      ];
      cli
        .output(flags)
        .result(
          { valid: true, files, nodes, blocklists, services },
          () => `Valid: ${counts.join(' and ')} in ${plural(files.length, 'file')}.`,
        );
    });

  program
    .command('schema')
    .description('print the JSON Schema of a kind of resource, for editors')
    .argument('[kind]', 'node, blocklist, service', 'node')
    .addHelpText('after', examples('aether schema blocklist > blocklist.schema.json'))
    .action((kind: string) => {
      const schema = KINDS[needKind(kind)].jsonSchema();
      process.stdout.write(`${JSON.stringify(schema, null, 2)}\n`);
    });
}
