import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Command } from 'commander';
import { KIND_NAMES, KINDS, wordOf } from '../core/model/resources';
import { ROOT } from '../lab/tools';
import { Cli } from './cli';
import { CliError, EXIT } from './exit-codes';
import { everyCommand, makeProgram } from './program';
import { issueText, loadResources, nodesOf } from './resources';

function directory(t: TestContext, files: Record<string, string>): string {
  const path = mkdtempSync(join(tmpdir(), 'aether-resources-'));
  t.after(() => {
    rmSync(path, { recursive: true });
  });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}

const node = (name: string, address: string): string => `apiVersion: aether.dev/v1
kind: Node
metadata: { name: ${name}, region: here }
spec:
  namespaces:
    - name: edge
      links: [{ name: edge0, peer: eth0, addresses: [${address}] }]
`;

function aether(...args: string[]): { code: number; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'dist/cli/main.js'), ...args],
    { encoding: 'utf8' },
  );
  return { code: status ?? -1, stdout, stderr };
}

test('every published example is valid, and its schema is the one of this version', () => {
  const { loaded, issues } = loadResources([
    join(ROOT, 'examples/lab'),
    join(ROOT, 'examples/blocklists'),
    join(ROOT, 'examples/services'),
  ]);
  assert.deepEqual(issues.map(issueText), []);
  const regions = nodesOf(loaded).map(({ metadata }) => metadata.region);
  assert.deepEqual(regions, ['eu-central', 'eu-central', 'us-east', 'us-east']);
  const lists = loaded.filter(({ resource }) => resource.kind === 'Blocklist');
  assert.ok(lists.length > 1);
  for (const kind of KIND_NAMES) {
    const file = `examples/${wordOf(kind)}.schema.json`;
    const published: unknown = JSON.parse(readFileSync(join(ROOT, file), 'utf8'));
    const command = `./aether schema ${wordOf(kind)} > ${file}`;
    assert.deepEqual(published, KINDS[kind].jsonSchema(), `renew it: ${command}`);
  }
});

test('a blocklist of a file is held against the nodes of another: what is failsafe there', (t) => {
  const filters = '  filters: [{ interface: up0, mode: native, failsafe: [192.0.2.7] }]\n';
  const path = directory(t, {
    'a.yaml': `${node('one', '10.1.0.2/30').replace('region: here', 'region: here, labels: { tier: edge }')}${filters}`,
    'b.yaml': `apiVersion: aether.dev/v1
kind: Blocklist
metadata: { name: bad }
spec:
  nodes: { tier: edge }
  entries:
    - 198.51.100.0/24
    - { prefix: 192.0.2.0/24, reason: scan }
---
apiVersion: aether.dev/v1
kind: Blocklist
metadata: { name: all }
spec: { nodes: {}, entries: [0.0.0.0/0] }
`,
  });
  const { code, stderr } = aether('validate', '-f', path);
  assert.equal(code, EXIT.invalid);
  const [failsafe = '', selector = '', everything = '', ...rest] = stderr.trim().split('\n');
  assert.match(
    failsafe,
    /b\.yaml:8:7 spec\.entries\[1\]: 192\.0\.2\.0\/24 has a part of 192\.0\.2\.7\/32, which is failsafe on node "one"/,
  );
  assert.match(selector, /b\.yaml:13:16 spec\.nodes: .*expected at least one label: an empty/);
  assert.match(everything, /b\.yaml:13:30 spec\.entries\[0\]: 0\.0\.0\.0\/0 is every address/);
  assert.deepEqual(rest, ['Nothing was written.']);
});

test('all files of a directory are read, and what two of them contradict in is found', (t) => {
  const path = directory(t, {
    'b.yaml': node('two', '10.1.0.2/30'),
    'a/one.yml': node('one', '10.1.0.2/30'),
    'README.md': 'not a resource',
  });
  const { loaded, issues } = loadResources([path]);
  assert.equal(loaded.length, 2);
  assert.deepEqual(issues.map(issueText), [
    `${path}/b.yaml:7:54 spec.namespaces[0].links[0].addresses[0]: 10.1.0.2 belongs to node "one"` +
      ' (spec.namespaces[0].links[0].addresses[0]); expected an address that no other node has',
  ]);
});

test('each error of a file is told with its place, and the exit code says invalid', (t) => {
  const path = directory(t, {
    'bad.yaml': node('One', '10.1.0.2/33').replace('peer: eth0', 'peer: eth0, colour: red'),
  });
  const { code, stderr, stdout } = aether('validate', '-f', join(path, 'bad.yaml'));
  assert.equal(code, EXIT.invalid);
  assert.equal(stdout, '');
  const lines = stderr.trim().split('\n');
  assert.match(lines[0] ?? '', /bad\.yaml:3:19 metadata\.name: "One" .*; expected a DNS label/);
  assert.match(
    lines[1] ?? '',
    /bad\.yaml:7:42 spec\.namespaces\[0\]\.links\[0\]\.colour: unknown field "colour"; expected one of name, /,
  );
  assert.match(
    lines[2] ?? '',
    /bad\.yaml:7:67 .*addresses\[0\]: "10\.1\.0\.2\/33" .*; expected an address/,
  );
  assert.equal(lines[3], 'Nothing was written.');
});

test('with --json an error has its facts', (t) => {
  const path = directory(t, { 'bad.yaml': 'kind: [' });
  const { code, stdout } = aether('validate', '-f', path, '--json');
  const { error } = JSON.parse(stdout) as { error: { exitCode: number; issues: object[] } };
  assert.equal(code, EXIT.invalid);
  assert.equal(error.exitCode, EXIT.invalid);
  assert.equal(error.issues.length, 1);
});

test('what is not there, and what is used wrongly, have exit codes of their own', () => {
  assert.throws(
    () => loadResources(['/nowhere']),
    (error) => {
      return error instanceof CliError && error.exitCode === EXIT.notFound;
    },
  );
  assert.equal(aether('validate').code, EXIT.usage);
  assert.equal(aether('no-such-verb').code, EXIT.usage);
  assert.equal(aether('get', 'nodes', '--socket', '/nowhere.sock').code, EXIT.unreachable);
  assert.equal(aether('edge', 'status', '--socket', '/nowhere.sock').code, EXIT.unreachable);
});

test('a file in which nothing is declared is no valid one', (t) => {
  const path = directory(t, { 'empty.yaml': '# later\n' });
  const { code, stderr } = aether('validate', '-f', join(path, 'empty.yaml'));
  assert.equal(code, EXIT.invalid);
  assert.match(stderr, /empty\.yaml: no resource in it/);
});

test('every command says what it does, and every one that acts takes --json', () => {
  const prints = new Set(['schema', 'completion', 'exec', 'help']);
  for (const command of everyCommand(makeProgram(new Cli({})))) {
    assert.notEqual(command.description(), '', command.name());
    assert.match(command.helpInformation(), new RegExp(`^Usage: .*${command.name()}`));
    if (command.commands.length > 0 || prints.has(command.name())) continue;
    const flags = command.options.map(({ long }) => long);
    assert.ok(flags.includes('--json'), command.name());
  }
});

/** As a person types it. */
const pathOf = (command: Command): string =>
  command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;

test('the help of every command that does something has an example of it', () => {
  const without = everyCommand(makeProgram(new Cli({}))).filter((command) => {
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    const [, examples = ''] = help.split('\nExamples:\n');
    return command.commands.length === 0 && !examples.includes(pathOf(command));
  });
  assert.deepEqual(without.map(pathOf), []);
});
