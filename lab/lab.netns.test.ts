import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { down } from './down';
import { identify, processesOf, signal } from './identity';
import { inHost } from './host';
import { run } from './run';
import { ROOT } from './tools';
import { TestLab, cannotRunLabs, exampleNode, newStateDir } from './testing';
import type { Lab } from './lab';
import { eventually } from './wait';

const options = { skip: cannotRunLabs() };
const nodes = [exampleNode('fra-1', 1), exampleNode('ams-1', 2)];

/** Network namespaces that some process lives in. */
const livingNamespaces = (): Set<string> =>
  new Set(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          return readlinkSync(`/proc/${pid}/ns/net`);
        } catch {
          return '';
        }
      }),
  );

const namespacesOf = (lab: Lab): string[] =>
  lab.record.hosts.map(({ holder }) => readlinkSync(`/proc/${holder.pid}/ns/net`));

async function assertNothingLeft(stateDir: string, namespaces: readonly string[]): Promise<void> {
  assert.deepEqual(processesOf(stateDir), [], 'processes');
  // A process that is about to end has lost its memory, and with it our mark, before its namespaces.
  const areGone = (): boolean => {
    const living = livingNamespaces();
    const left = namespaces.filter((one) => living.has(one));
    if (left.length > 0) throw new Error(left.join(', '));
    return true;
  };
  await eventually('no process lives in the namespaces', areGone, { within: 5_000 });
  assert.equal(existsSync(stateDir), false, 'state directory');
  const beside = readdirSync(dirname(stateDir)).filter((name) =>
    name.startsWith(basename(stateDir)),
  );
  assert.deepEqual(beside, [], 'locks');
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(stateDir), false, 'mounts');
}

test('a lab shows nothing outside and leaves nothing behind', options, async () => {
  const rootLinks = async (): Promise<string> => (await run(['ip', '-br', 'link'])).stdout;
  const before = await rootLinks();
  const { lab } = await TestLab.up(nodes);
  const namespaces = namespacesOf(lab);
  try {
    assert.equal(await rootLinks(), before, 'no link in the root namespace');
    assert.ok(!(await run(['ip', 'netns'])).stdout.includes('edge'), 'no name in `ip netns`');
    await lab.must('fra-1', ['ip', 'netns', 'add', 'mine']);
    assert.equal((await lab.must('fra-1', ['ip', 'netns'])).includes('mine'), true);
    assert.equal((await lab.must('ams-1', ['ip', 'netns'])).includes('mine'), false);
    assert.equal((await lab.must('fra-1', ['hostname'])).trim(), 'fra-1');
    await lab.must('fra-1', ['ping', '-c1', '-W2', '198.18.3.1']);
    await lab.must('router-test', ['ping', '-c1', '-W2', '198.19.0.2']);
    await lab.must('client', ['ping', '-c1', '-W2', '198.19.0.2']);
  } finally {
    await down(lab.stateDir);
  }
  await assertNothingLeft(lab.stateDir, namespaces);
});

test('a process that ends is started again, one that is stopped is not', options, async () => {
  const { lab } = await TestLab.up(nodes);
  try {
    const before = lab.process('etcd-1');
    lab.kill('etcd-1');
    await eventually(
      'etcd-1 runs again',
      () => lab.process('etcd-1')?.pid !== before?.pid && lab.process('etcd-1') !== null,
      { within: 10_000 },
    );
    await assert.rejects(lab.stop('etcd-9'), /no process etcd-9; it has .*etcd-1/);
    // Once more just when it has ended: what is about to be started again is kept from it as well.
    lab.kill('etcd-1');
    await lab.stop('etcd-1');
    assert.equal(lab.status().find(({ name }) => name === 'etcd-1')?.state, 'stopped');
    await lab.start('etcd-1');
    assert.equal(lab.status().find(({ name }) => name === 'etcd-1')?.state, 'running');
    await lab.stop('etcd-1');
    const { supervisor } = lab.record;
    assert.ok(supervisor !== null && signal(supervisor, 'SIGKILL'), 'the supervisor ran');
    await lab.must('etcd-1', ['true']);
    assert.equal(lab.process('etcd-1'), null);
    assert.notEqual(lab.process('temporal'), null, 'what runs needs no supervisor');
    await assert.rejects(lab.start('etcd-1'), /supervisor has ended/);
  } finally {
    await down(lab.stateDir);
  }
});

test(
  'down finds everything after kill -9 of anything, also without its records',
  options,
  async () => {
    const { lab } = await TestLab.up(nodes);
    const namespaces = namespacesOf(lab);
    // Somebody's process in a host: no mark of ours, a session, network and mounts of its own.
    const [host] = lab.record.hosts.filter(({ role }) => role === 'edge');
    assert.ok(host);
    await lab.must(host.name, ['ip', 'netns', 'add', 'theirs']);
    const [command = '', ...args] = inHost(host.holder, [
      'env',
      '-i',
      'ip',
      'netns',
      'exec',
      'theirs',
      'sleep',
      '3600',
    ]);
    const stranger = spawn(command, args, { detached: true, stdio: 'ignore' });
    stranger.unref();
    await eventually(
      'the process is in the host',
      () => readFileSync(`/proc/${stranger.pid}/cmdline`, 'utf8').startsWith('sleep'),
      { within: 10_000, every: 10 },
    );
    const { supervisor } = lab.record;
    for (const victim of [
      supervisor,
      lab.process('temporal'),
      lab.record.hosts[0]?.holder ?? null,
    ]) {
      if (victim !== null) signal(victim, 'SIGKILL');
    }
    await run(['rm', '-f', join(lab.stateDir, 'lab.json')]);
    await down(lab.stateDir);
    assert.equal(identify(stranger.pid ?? 0), null, 'the process in the host');
    await assertNothingLeft(lab.stateDir, namespaces);
  },
);

test('down clears an `up` that was killed half way, whenever that was', options, async () => {
  for (const afterMs of [150, 400, 900]) {
    const stateDir = newStateDir();
    const upping = spawn(
      process.execPath,
      [
        '-e',
        `require(${JSON.stringify(join(ROOT, 'dist/lab/up.js'))}).up(JSON.parse(process.argv[1]))`,
        JSON.stringify({ name: 'half', stateDir, nodes, controllers: 1, etcds: 1 }),
      ],
      { stdio: 'ignore' },
    );
    setTimeout(() => upping.kill('SIGKILL'), afterMs);
    await new Promise((resolve) => upping.once('exit', resolve));
    await down(stateDir);
    await assertNothingLeft(stateDir, []);
  }
});
