/** `aether completion`: what the Tab key knows. */
import { Argument, type Command } from 'commander';
import { examples } from '../cli';
import { completionOf, type Shell, SHELLS } from '../completion';

export function registerCompletion(program: Command): void {
  program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        'source <(aether completion bash)      # in ~/.bashrc',
        'source <(aether completion zsh)       # in ~/.zshrc, after compinit',
        'aether completion fish | source       # in ~/.config/fish/config.fish',
      ),
    )
    .action((shell: Shell) => {
      process.stdout.write(completionOf(program, shell));
    });
}
