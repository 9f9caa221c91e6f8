/** Changes that are cut, memory that runs out, packets in between. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { FilterContents } from '../../../core/filter/contents';
import { FilterEngine } from './engine';
import { pinInfo } from './pins';
import { SetMap } from './set-map';
import {
  contentsFor,
  frameFrom,
  type MemoryBlobs,
  testEngine,
  testInterface,
  verdicts,
} from './testing/support';

const AGENT = join(__dirname, 'testing/dying-agent.js');
const BOTH = '203.0.113.1';
const OLD = ['203.0.113.0/24', '198.51.100.0/24', '2001:db8:a::/48', '2001:db8:c::/48'];
const NEW = ['203.0.113.0/24', '192.0.2.128/25', '2001:db8:b::/48', '2001:db8:c::/48'];

function dieWhile(blobs: MemoryBlobs, contents: FilterContents, when: string, nth: number) {
  const stored = Object.fromEntries(
    [...blobs.blobs].map(([name, blob]) => [name, Buffer.from(blob).toString('base64')]),
  );
  const args = [AGENT, JSON.stringify(contents), JSON.stringify(stored), when, String(nth)];
  return spawnSync(process.execPath, args, { encoding: 'utf8' });
}

/** Lists of both families, and what spares sources: up to eight updates of outer maps. */
for (const [when, nth] of [
  ['before', 1],
  ['after', 1],
  ['before', 3],
  ['after', 3],
  ['before', 4],
  ['after', 4],
] as const) {
  test(`killed ${when} update ${nth} of a swap: each family is the old list or the new one`, async (t) => {
    const { engine, blobs } = await testEngine(t);
    const { name, index } = await testInterface(t, engine);
    const old = contentsFor(name, { lists: [blobs.list('a', OLD)], failsafe: ['203.0.113.9/32'] });
    const next = contentsFor(name, {
      lists: [blobs.list('b', NEW)],
      failsafe: ['203.0.113.9/32', '2001:db8:c::9/128'],
    });
    await engine.setFilters([old]);
    await engine.attach(name, index, 'native');
    engine.close();
    const ended = dieWhile(blobs, next, when, nth);
    assert.equal(ended.signal, 'SIGKILL', ended.stdout + ended.stderr);
    const v4 = verdicts(name, BOTH, '203.0.113.9', '198.51.100.1', '192.0.2.129');
    assert.ok(['drop pass drop pass', 'drop pass pass drop'].includes(v4), v4);
    const v6 = verdicts(name, '2001:db8:c::1', '2001:db8:a::1', '2001:db8:b::1');
    assert.ok(['drop drop pass', 'drop pass drop'].includes(v6), v6);

    const survivor = await FilterEngine.open(blobs);
    t.after(() => survivor.close());
    assert.equal((await survivor.setFilters([next]))[0]?.error, null);
    assert.equal(survivor.contents(name, pinInfo(name)).state, 'right');
    assert.equal(
      verdicts(name, BOTH, '203.0.113.9', '198.51.100.1', '192.0.2.129'),
      'drop pass pass drop',
    );
    assert.equal(
      verdicts(name, '2001:db8:c::1', '2001:db8:c::9', '2001:db8:a::1', '2001:db8:b::1'),
      'drop pass pass drop',
    );
  });
}

test('what is in both lists never passes while they take turns, nor what is edited beside it', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const lists = [blobs.list('a', OLD), blobs.list('b', NEW)];
  await engine.setFilters([contentsFor(name, { lists: [lists[0]!] })]);
  await engine.attach(name, index, 'native');
  const probers = [BOTH, '2001:db8:c::1'].map(
    (source) =>
      new Worker(join(__dirname, 'testing/prober.js'), {
        workerData: { interfaceName: name, frame: frameFrom(source) },
      }),
  );
  for (let i = 0; i < 20; i++) {
    const blocks = [`203.0.113.${i}/32`, `2001:db8:c::${i}/128`];
    await engine.setFilters([contentsFor(name, { lists: [lists[i % 2]!] })]);
    await engine.setFilters([contentsFor(name, { lists: [lists[i % 2]!], blocks })]);
  }
  for (const prober of probers) {
    const told = new Promise<{ drop: number; pass: number }>((resolve) =>
      prober.once('message', resolve),
    );
    prober.postMessage('end');
    const { drop, pass } = await told;
    await prober.terminate();
    assert.equal(pass, 0);
    assert.ok(drop > 100, `${drop} tries`);
  }
});

/** A memory cgroup with this process in it, by whatever version the host has. */
function memoryCgroup(t: TestContext): {
  usage: () => number;
  limit: (bytes: number | null) => void;
} {
  const root = mkdtempSync(join(tmpdir(), 'aether-memory-'));
  const isV1 = /^memory\t[1-9]/m.test(readFileSync('/proc/cgroups', 'utf8'));
  const type = isV1 ? ['-t', 'cgroup', '-o', 'memory'] : ['-t', 'cgroup2'];
  execFileSync('mount', [...type, 'none', root]);
  const line = isV1 ? /^\d+:memory:(.*)$/m : /^0::(.*)$/m;
  const own = line.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  const group = mkdtempSync(join(root, own, 'aether-'));
  const move = (to: string): void => writeFileSync(join(to, 'cgroup.procs'), `${process.pid}`);
  move(group);
  t.after(async () => {
    move(join(root, own));
    // Maps that were charged to it go a little later than their last user.
    for (let i = 0; i < 50; i++) {
      try {
        rmdirSync(group);
        break;
      } catch {
        await delay(100);
      }
    }
    execFileSync('umount', [root]);
    rmdirSync(root);
  });
  const file = (v1: string, v2: string): string => join(group, isV1 ? v1 : v2);
  return {
    usage: () => Number(readFileSync(file('memory.usage_in_bytes', 'memory.current'), 'utf8')),
    limit: (bytes) =>
      writeFileSync(
        file('memory.limit_in_bytes', 'memory.max'),
        bytes === null ? (isV1 ? '-1' : 'max') : `${bytes}`,
      ),
  };
}

/** What a set is made to need here, so that half of it is plenty for all that goes on beside it. */
const NEEDED_BYTES = 64 << 20;

/** The limit is there for the kernel's part alone: what we need ourselves would end the process. */
function withoutMemoryForSets(t: TestContext): () => void {
  const memory = memoryCgroup(t);
  const { create } = SetMap;
  const restore = (): void => void (SetMap.create = create);
  t.after(restore);
  SetMap.create = (image) => {
    memory.limit(memory.usage() + NEEDED_BYTES / 2);
    try {
      return create({ ...image, words: new Uint32Array(NEEDED_BYTES / 4) });
    } finally {
      memory.limit(null);
    }
  };
  return restore;
}

test('no memory for a new list: said so, and the old one goes on', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  await engine.setFilters([contentsFor(name, { lists: [blobs.list('a', OLD)] })]);
  await engine.attach(name, index, 'native');
  const restore = withoutMemoryForSets(t);
  const next = contentsFor(name, { lists: [blobs.list('b', NEW)] });
  const [outcome] = await engine.setFilters([next]);
  assert.match(
    outcome?.error ?? '',
    /the kernel has no memory for its sets \(ENOMEM.*shorten the lists/,
  );
  assert.equal(verdicts(name, BOTH, '198.51.100.1', '192.0.2.129'), 'drop drop pass');
  assert.equal(engine.contents(name, pinInfo(name)).state, 'right');
  restore();
  assert.equal((await engine.setFilters([next]))[0]?.error, null);
  assert.equal(verdicts(name, BOTH, '198.51.100.1', '192.0.2.129'), 'drop pass drop');
});

test('no memory for one family of an edit: the other is not edited either', async (t) => {
  const { engine } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const before = contentsFor(name, { blocks: ['203.0.113.1/32'] });
  const sources = ['203.0.113.1', '203.0.113.2', '2001:db8:c::1'];
  await engine.setFilters([before]);
  await engine.attach(name, index, 'native');
  const restore = withoutMemoryForSets(t);
  // So many that their image takes more than there is.
  const six = Array.from({ length: 40_000 }, (_, i) => `2001:db8:c::${(i + 1).toString(16)}/128`);
  const next = contentsFor(name, { blocks: ['203.0.113.1/32', '203.0.113.2/32', ...six] });
  assert.match((await engine.setFilters([next]))[0]?.error ?? '', /ENOMEM/);
  assert.equal(verdicts(name, ...sources), 'drop pass pass');
  restore();
  assert.equal((await engine.setFilters([before]))[0]?.error, null);
  assert.equal(verdicts(name, ...sources), 'drop pass pass');
  assert.equal(engine.contents(name, pinInfo(name)).state, 'right');
  assert.equal((await engine.setFilters([next]))[0]?.error, null);
  assert.equal(verdicts(name, ...sources), 'drop drop drop');
});

test('a filter goes while sets of another are made: they are there when they are due', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const [stays, goes] = [await testInterface(t, engine), await testInterface(t, engine)];
  for (const { name, index } of [stays, goes]) await engine.attach(name, index, 'native');
  const list = blobs.list('a', OLD);
  const read = blobs.read.bind(blobs);
  blobs.read = async (sha256) => {
    await engine.detach(goes.name);
    return read(sha256);
  };
  const wanted = contentsFor(stays.name, { failsafe: ['203.0.113.9/32'], lists: [list] });
  const [outcome] = await engine.setFilters([wanted]);
  assert.equal(outcome?.error, null);
  assert.equal(verdicts(stays.name, BOTH, '203.0.113.9'), 'drop pass');
});

test('more rules than the table holds are refused, and those before go on', async (t) => {
  const { engine } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const rule = {
    name: 'r',
    reason: '',
    expiresAtMs: null,
    mode: 'enforce',
    destination: null,
    protocol: 17,
    sourcePort: null,
    destinationPort: null,
    length: null,
    tcpFlags: null,
    fragment: null,
  } as const;
  const rules = (count: number) => ({
    rules: {
      mode: 'enforce' as const,
      entries: Array.from({ length: count }, () => ({ ...rule })),
    },
  });
  await engine.setFilters([contentsFor(name, rules(64))]);
  await engine.attach(name, index, 'native');
  const [outcome] = await engine.setFilters([contentsFor(name, rules(65))]);
  assert.match(outcome?.error ?? '', /at most 64 rules/);
  assert.equal(verdicts(name, BOTH), 'drop');
});
