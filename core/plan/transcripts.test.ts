/**
 * What the planner makes of each partial state, as text. A file of testdata is a list of paragraphs:
 * commands (`DEEDS`, one a line; `#` comments), a line `----`, and what is answered. Each paragraph
 * starts on a host that is what the example's spec asks for, unless its first command is `bare`.
 * `AETHER_REWRITE=1` writes the answers anew; the change is then read as a diff.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEEDS } from './disturb';
import type { EdgeSpec } from '../model/edge-spec';
import { exampleEdgeService } from '../model/testing';
import { EXAMPLE, Machine } from './testing';
import type { Plan } from './types';

const DIRECTORY = join(__dirname, '../../../core/plan/testdata');

const shown = ({ findings, waves }: Plan): string[] => [
  ...findings.map(
    ({ kind, object, message, conflict }) =>
      `${conflict ? 'conflict' : 'finding'} ${kind} ${object}: ${message}`,
  ),
  ...waves.flatMap((wave, i) => wave.map(({ summary }) => `${i + 1}. ${summary}`)),
];

/** Commands that change what is wanted. */
const WISHES: Record<string, (spec: EdgeSpec, word: string) => EdgeSpec> = {
  'want-nothing': (spec) => ({ ...spec, namespaces: [], filters: [], services: [] }),
  'want-no-links': (spec) => ({
    ...spec,
    namespaces: spec.namespaces.map((ns) => ({ ...ns, links: [], routes: [] })),
  }),
  'want-second-link': (spec, name) => ({
    ...spec,
    namespaces: spec.namespaces.map((ns) => ({
      ...ns,
      links: [...ns.links, { name, peer: name, mtu: 1500, hostAddresses: [], addresses: [] }],
    })),
  }),
  'want-sysctls': (spec, list) => ({
    ...spec,
    namespaces: spec.namespaces.map((ns) => ({
      ...ns,
      sysctls: Object.fromEntries(list.split(',').map((key) => [key, '1'])),
    })),
  }),
  'want-no-sysctls': (spec) => ({
    ...spec,
    namespaces: spec.namespaces.map((ns) => ({ ...ns, sysctls: {} })),
  }),
  'want-gateway': (spec, via) => ({
    ...spec,
    namespaces: spec.namespaces.map((ns) => ({ ...ns, routes: [{ to: '0.0.0.0/0', via }] })),
  }),
  'want-addresses': (spec, list) => ({
    ...spec,
    namespaces: spec.namespaces.map((ns) => ({
      ...ns,
      links: ns.links.map((link) => ({ ...link, addresses: list.split(',') })),
    })),
  }),
  'want-services': (spec, list) => ({
    ...spec,
    services: list.split(',').map((address) => exampleEdgeService(address, [address])),
  }),
  'want-prefix': (spec, prefix) => ({
    ...spec,
    services: spec.services.map((service) => ({ ...service, prefixes: [prefix] })),
  }),
  'want-no-services': (spec) => ({ ...spec, services: [] }),
  'want-mode': (spec, mode) => ({
    ...spec,
    filters: spec.filters.map((filter) => ({ ...filter, mode: mode as 'generic' })),
  }),
};

/** The answer of a paragraph: the plan, and what is left once it has run. */
const play = (commands: readonly string[]): string[] => {
  const machine = new Machine();
  let spec = EXAMPLE;
  if (commands[0] !== 'bare') machine.converge(spec);
  for (const command of commands) {
    const [verb = '', ...words] = command.split(' ');
    const deed = DEEDS[verb];
    const wish = WISHES[verb];
    if (deed !== undefined) deed(machine, ...words);
    else if (wish !== undefined) spec = wish(spec, words[0] ?? '');
    else if (verb === 'converge') machine.converge(spec);
    else if (verb === 'forget-ledger') machine.ledger = { namespaces: {}, sysctls: {} };
    else if (verb === 'intend') machine.ledger = intent(machine, words[0] ?? '');
    else assert.equal(verb, 'bare', `no such command: ${command}`);
  }
  const plan = machine.plan(spec);
  machine.run(spec, plan.waves);
  const left = shown(machine.plan(spec));
  const answer = shown(plan);
  if (answer.length === 0) answer.push('nothing to do');
  return left.length === 0 ? answer : [...answer, ...left.map((line) => `left: ${line}`)];
};

/** The agent died after it had written down what it was about to make. */
const intent = ({ ledger }: Machine, name: string): Machine['ledger'] => ({
  ...ledger,
  namespaces: { ...ledger.namespaces, [name]: { inode: null } },
});

const answerOf = (paragraph: string): string => {
  const lines = paragraph.split('\n');
  const separator = lines.indexOf('----');
  const head = separator < 0 ? lines : lines.slice(0, separator);
  const commands = head.filter((line) => line !== '' && !line.startsWith('#'));
  if (commands.length === 0) return paragraph;
  return [...head, '----', ...play(commands)].join('\n');
};

for (const file of readdirSync(DIRECTORY)) {
  test(`transcript ${file}`, () => {
    const path = join(DIRECTORY, file);
    const text = readFileSync(path, 'utf8');
    const answered = `${text.trimEnd().split('\n\n').map(answerOf).join('\n\n')}\n`;
    if (process.env['AETHER_REWRITE'] === '1') writeFileSync(path, answered);
    else assert.equal(text, answered);
  });
}
