import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { userForm } from '../core/model/schema';
import type { NodeDescription, NodeExplanation, NodeView } from '../core/model/views';
import { agentOf } from '../lab/declare';
import { faultsOf, target } from '../lab/faults';
import { TestLab, cannotRunLabs, exampleNode } from '../lab/testing';
import { eventually } from '../lab/wait';
import { EXIT } from './exit-codes';
import { aetherIn, type Ended } from './testing';

const skip = cannotRunLabs();
const node = exampleNode('fra-1', 1);
let under: TestLab;
let scratch: string;
let file: string;

before(async () => {
  if (skip !== false) return;
  scratch = mkdtempSync(join(tmpdir(), 'aether-cli-'));
  file = join(scratch, 'fra-1.yaml');
  writeFileSync(file, stringify(userForm(node)));
  under = await TestLab.up([node]);
});
after(async () => {
  await under?.end();
  if (scratch !== undefined) rmSync(scratch, { recursive: true });
});

const aether = (...argv: string[]): Promise<Ended> => aetherIn(under.lab, argv);

async function must(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await aether(...argv);
  assert.equal(code, EXIT.ok, `aether ${argv.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

const json = async <T>(...argv: string[]): Promise<T> =>
  JSON.parse(await must(...argv, '--json')) as T;

test(
  'plan tells what an apply would write; apply --wait ends when it is so',
  { skip },
  async () => {
    assert.match(await must('plan', '-f', file), /^\+ Node fra-1/);
    assert.equal((await aether('plan', '-f', file, '--exit-code')).code, EXIT.changes);
    const { code, stdout, stderr } = await aether(
      'apply',
      '-f',
      file,
      '--wait',
      '--timeout',
      '90s',
    );
    assert.equal(code, EXIT.ok, stderr);
    assert.match(stdout, /1 node active and as it should be\./);
    assert.match(stderr, /fra-1: active, as it should be/);
    await under.settled(node);
    assert.match(await must('apply', '-f', file), /^= Node fra-1 {2}as it is/);
    assert.equal((await aether('plan', '-f', file, '--exit-code')).code, EXIT.ok);
  },
);

test('get, describe and explain show the node, for people and for scripts', { skip }, async () => {
  assert.match(await must('get', 'nodes'), /^NODE.*\nfra-1 +test +active +as it should be/);
  const [view] = await json<NodeView[]>('get', 'nodes');
  assert.equal(view?.converged, true);
  const described = await json<NodeDescription>('describe', 'node', 'fra-1');
  assert.deepEqual(described.resource.spec.namespaces, node.spec.namespaces);
  assert.match(await must('describe', 'node', 'fra-1'), /onboardNode +COMPLETED/);
  const explained = await json<NodeExplanation>('explain', 'node', 'fra-1');
  assert.deepEqual(explained.difference, []);
  assert.match(await must('explain', 'node', 'fra-1'), /difference +none/);
});

test('a change is told field by field, with the steps its edge would run', { skip }, async () => {
  const changed = structuredClone(node);
  target(changed).link.mtu = 1400;
  writeFileSync(file, stringify(userForm(changed)));
  const planned = await must('plan', '-f', file);
  assert.match(planned, /^~ Node fra-1/);
  assert.match(planned, /mtu: 1500 -> 1400/);
  assert.match(planned, /on the edge: .*(mtu|MTU).*1400/);
  await must('apply', '-f', file, '--wait');
  const link = await under.lab.must('fra-1', [
    'ip',
    '-o',
    'link',
    'show',
    target(changed).link.name,
  ]);
  assert.match(link, / mtu 1400 /, 'what is waited for is there at once');
  await under.settled(changed);
  writeFileSync(file, stringify(userForm(node)));
  await must('apply', '-f', file, '--wait');
});

test('freeze and unfreeze, from afar and on the host', { skip }, async () => {
  await must('freeze', 'fra-1', '--reason', 'test');
  assert.match(await must('get', 'nodes'), /yes/);
  assert.match(await must('explain', 'node', 'fra-1'), /^frozen +by \S+ since \S+: test$/m);
  assert.match(await must('describe', 'node', 'fra-1'), /^frozen by \S+ since \S+: test$/m);
  await must('unfreeze', 'fra-1');
  const edge = (...argv: string[]): Promise<string> =>
    under.lab.must('fra-1', ['aether', 'edge', ...argv]);
  const frozen = await edge('freeze', '--for', '1h', '--reason', 'NIC swap');
  assert.match(frozen, /^frozen +local: by \S+ \d+ s ago, 60 min more \(NIC swap\)$/m);
  await under.lab.must('fra-1', [...(faultsOf(node).mtuChanged.commands[0] ?? [])]);
  await eventually(
    'explain tells',
    async () => /aether edge unfreeze/.test(await must('explain', 'node', 'fra-1')),
    { within: 20_000 },
  );
  const stands = await edge('status');
  assert.match(stands, /^not repaired +it is frozen on its host: aether edge unfreeze$/m);
  assert.match(stands, /^incident +inc-\w+, plan \w+$/m);
  assert.match(
    await must('explain', 'node', 'fra-1'),
    /^frozen +on its host until \S+ by \S+ since \S+: NIC swap$/m,
  );
  assert.match(await edge('unfreeze'), /frozen +no/);
  await under.settled(node);
});

test('what can not be done ends with an exit code that says why', { skip }, async () => {
  const ended = async (...argv: string[]): Promise<number> => (await aether(...argv)).code;
  assert.equal(await ended('explain', 'node', 'nobody'), EXIT.notFound);
  assert.equal(await ended('delete', 'node', 'nobody'), EXIT.notFound);
  assert.equal(await ended('approve', 'fra-1', 'f'.repeat(64)), EXIT.conflict);
  assert.equal(await ended('get', 'cabbages'), EXIT.usage);
  const other = exampleNode('other', 1);
  const otherFile = join(scratch, 'other.yaml');
  writeFileSync(otherFile, stringify(userForm(other)));
  const { code, stderr } = await aether('apply', '-f', otherFile);
  assert.equal(code, EXIT.invalid);
  assert.match(stderr, /other\.yaml:\d+:\d+ .*10\.10\.1\.2 belongs to node "fra-1"/);
  await under.lab.stop(agentOf('fra-1'));
  const changed = structuredClone(node);
  target(changed).link.mtu = 1400;
  writeFileSync(file, stringify(userForm(changed)));
  assert.equal(await ended('apply', '-f', file, '--wait', '--timeout', '2s'), EXIT.timeout);
  await under.lab.start(agentOf('fra-1'));
  await under.settled(changed, 60_000);
});

test('status, audit and doctor look at the cluster', { skip }, async () => {
  assert.match(await must('status'), /1: 1 connected, 1 as they should be/);
  assert.match(await must('audit'), /looks at 1 node now/);
  const { stdout } = await aether('doctor');
  assert.match(stdout, /its etcd +answers/);
  assert.match(stdout, /its Temporal +answers/);
});

test('lab status and exec take the lab by its state directory', { skip }, async () => {
  const state = ['--state', under.lab.stateDir];
  const status = await json<{ processes: { state: string }[] }>('lab', 'status', ...state);
  assert.ok(status.processes.every((process) => process.state === 'running'));
  assert.match(await must('lab', 'exec', ...state, 'fra-1', '--', 'ip', 'netns'), /edge/);
  const { code } = await aether('lab', 'exec', ...state, 'fra-1', '--', 'sh', '-c', 'exit 42');
  assert.equal(code, 42);
  const unknown = await aether('lab', 'exec', ...state, 'nowhere', '--', 'true');
  assert.equal(unknown.code, 7);
  assert.match(unknown.stderr, /no host nowhere; it has .*fra-1/);
});

test('delete takes the node out', { skip }, async () => {
  assert.match(await must('delete', 'node', 'fra-1'), /being taken out by the workflow/);
  await eventually('it is gone', async () => /No nodes/.test(await must('get', 'nodes')), {
    within: 30_000,
  });
});
