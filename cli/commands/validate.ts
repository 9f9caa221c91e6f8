/** `aether validate` and `aether schema`: everything that can be known without a server. */
import type { Command } from 'commander';
import { jsonSchema } from '../../core/model/schema';
import { collect, examples, withJson } from '../cli';
import type { Cli, OutputFlags } from '../cli';
import { plural } from '../output';
import { invalid, loadResources } from '../resources';

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
      const { loaded, issues, files } = loadResources(flags.file);
      if (issues.length > 0) throw invalid(issues);
      const names = loaded.map(({ resource }) => resource.metadata.name);
      cli
        .output(flags)
        .result(
          { valid: true, files, nodes: names },
          () => `Valid: ${plural(names.length, 'node')} in ${plural(files.length, 'file')}.`,
        );
    });

  program
    .command('schema')
    .description('print the JSON Schema of the Node resource, for editors')
    .action(() => {
      process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    });
}
