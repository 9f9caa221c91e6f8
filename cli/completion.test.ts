import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { Command } from 'commander';
import { KIND_NAMES, wordOf } from '../core/model/resources';
import { ROOT } from '../lab/tools';
import { Cli } from './cli';
import { completionOf, SHELLS } from './completion';
import { makeProgram } from './program';

const program = makeProgram(new Cli({}));
const script = completionOf(program, 'bash');

/** What bash would offer after these words, the last of which is being typed; as one calls it. */
function offered(...lines: string[][]): string[][] {
  const calls = lines.map((words) => `ask ${words.map((word) => `'${word}'`).join(' ')}`);
  const ask = `ask() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _aether
    echo "\${COMPREPLY[*]}"
  }`;
  const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-u'], {
    input: [script, ask, ...calls].join('\n'),
    encoding: 'utf8',
    cwd: ROOT,
  });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ').filter((word) => word !== ''));
}

interface Path {
  words: string[];
  command: Command;
}
const pathsOf = (command: Command, above: string[] = []): Path[] => {
  const words = [...above, command.name()];
  return [{ words, command }, ...command.commands.flatMap((below) => pathsOf(below, words))];
};

test('bash is offered every command and every option, each in its place', () => {
  const paths = pathsOf(program);
  assert.ok(paths.length > 20);
  const commands = offered(...paths.map(({ words }) => [...words, '']));
  const options = offered(...paths.map(({ words }) => [...words, '--']));
  for (const [i, { words, command }] of paths.entries()) {
    const below = command.commands.map((one) => one.name());
    if (below.length > 0) assert.deepEqual(commands[i], below, words.join(' '));
    const long = command.options.flatMap(({ long, hidden }) => (long && !hidden ? long : []));
    assert.deepEqual(options[i]?.sort(), [...long, '--help'].sort(), words.join(' '));
  }
});

test('bash is offered what fits where the cursor is', () => {
  const kinds = KIND_NAMES.map(wordOf);
  const table: [words: string[], expected: string[]][] = [
    [['l'], ['lab']],
    [
      ['lab', ''],
      ['up', 'status', 'exec', 'stop', 'start', 'cut', 'heal', 'fault', 'down'],
    ],
    [['--version', 'lab', 'e'], ['exec']],
    [
      ['get', ''],
      [...kinds, 'block'],
    ],
    [
      ['get', '--json', ''],
      [...kinds, 'block'],
    ],
    [['describe', ''], kinds],
    [['get', 'node', ''], []],
    [['get', 'node', '--j'], ['--json']],
    [['completion', ''], [...SHELLS]],
    [['apply', '-f', 'examples/la'], ['examples/lab']],
    [['apply', '--file', 'examples/lab/eu'], ['examples/lab/eu-central.yaml']],
    [['apply', '--timeout', ''], []],
    [['lab', 'exec', 'fra-1', '--', 'l'], []],
    [['nothing', 'lab', ''], []],
  ];
  const found = offered(...table.map(([words]) => ['aether', ...words]));
  for (const [i, [words, expected]] of table.entries())
    assert.deepEqual(found[i] ?? [], expected, words.join(' '));
});

test('aether prints the script of each shell, and refuses another', () => {
  const run = (shell: string) =>
    spawnSync(`${ROOT}/aether`, ['completion', shell], { encoding: 'utf8' });
  for (const shell of SHELLS) assert.equal(run(shell).stdout, completionOf(program, shell));
  const { status, stderr } = run('tcsh');
  assert.equal(status, 2);
  assert.match(stderr, /bash, zsh, fish/);
});
