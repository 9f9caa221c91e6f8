/** Lists and overrides in the agent, over a host in memory and a controller's end of the stream. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { OverrideResponse } from '../../adapters/edge-local/proto';
import { EdgeLocalClient } from '../../adapters/edge-local/client';
import { waitFor } from '../../adapters/native/test-support';
import { CHUNKS_AT_ONCE } from '../../adapters/edge-stream/proto';
import { prefixSet } from '../../core/filter/algebra';
import { pack } from '../../core/filter/blob';
import type { FilterContents } from '../../core/filter/contents';
import type { EdgeBlocklist, EdgeSpec } from '../../core/model/edge-spec';
import { specHash } from '../../core/model/hash';
import type { EdgeStatus } from '../../core/model/messages';
import { converge, FENCE, spec, stage, type Stage } from './testing/stage';

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

interface List {
  entry: EdgeBlocklist;
  chunks: [string, Buffer][];
}

/** A list in pieces; what it holds is for the host alone to read. */
function list(name: string, ...pieces: (string | Buffer)[]): List {
  const bytes = pieces.map((piece) => Buffer.from(piece));
  const chunks = bytes.map((piece): [string, Buffer] => [hash(piece), piece]);
  const blob = {
    sha256: hash(Buffer.concat(bytes)),
    count: pieces.length,
    chunks: chunks.map(([sha256, data]) => ({ sha256, bytes: data.length })),
  };
  return { entry: { name, mode: 'enforce', blob }, chunks };
}

const naming = (revision: number, ...lists: List[]): EdgeSpec => ({
  ...spec(revision),
  blocklists: lists.map(({ entry }) => entry),
});

const offer = ({ controller }: Stage, { chunks }: List): void => {
  for (const [name, data] of chunks) controller.chunks.set(name, data);
};

const held = ({ host }: Stage): FilterContents | undefined => host.filled.get('uplink0');
const heldLists = (here: Stage): string[] => (held(here)?.lists ?? []).map(({ sha256 }) => sha256);

const until = (
  here: Stage,
  what: string,
  holds: (status: EdgeStatus) => boolean,
): Promise<EdgeStatus> =>
  waitFor(what, async () => {
    const status = await here.guard.port.status();
    return holds(status) ? status : null;
  });

async function override(
  { socket }: Stage,
  verdict: string,
  prefix: string,
  forMs = 0,
): Promise<OverrideResponse> {
  using client = new EdgeLocalClient(socket);
  return await client.override({ prefix, verdict, reason: 'by hand', forMs });
}

async function standing(t: TestContext): Promise<Stage> {
  const here = await stage(t);
  await converge(here, spec(5));
  return here;
}

const applied = async ({ controller }: Stage, wanted: EdgeSpec): Promise<void> => {
  await waitFor(`revision ${wanted.revision} is applied`, () =>
    controller.heard.some((up) => up.message === 'applied' && up.applied.hash === specHash(wanted)),
  );
};

test('a list is fetched a few pieces at a time, and the spec applied once it is loaded', async (t) => {
  const here = await standing(t);
  const pieces = Array.from({ length: 11 }, (_, i) => `piece ${i}`);
  const long = list('long', ...pieces);
  const wanted = naming(6, long);
  here.controller.push(wanted);
  const waiting = await until(here, 'the list is told to be lacking', ({ problems }) =>
    problems.some((problem) => problem.includes('the list long is not enforced yet')),
  );
  assert.equal(waiting.accepted?.revision, 6);
  assert.notEqual(waiting.appliedHash, specHash(wanted));
  assert.deepEqual(waiting.findings, []);
  assert.equal(waiting.incident, null, 'nothing is to be repaired');
  assert.deepEqual(waiting.filters?.lists, [
    { name: 'long', mode: 'enforce', wanted: 11, held: null, chunksMissing: 11 },
  ]);
  await waitFor('the first are asked for', () => here.controller.asked().length >= CHUNKS_AT_ONCE);
  assert.equal(here.controller.asked().length, CHUNKS_AT_ONCE);
  offer(here, long);
  for (const name of here.controller.asked()) {
    here.controller.sendChunk(name, here.controller.chunks.get(name) ?? null);
  }
  await applied(here, wanted);
  assert.deepEqual(heldLists(here), [long.entry.blob.sha256]);
  assert.deepEqual(here.controller.asked().sort(), long.chunks.map(([name]) => name).sort());
  const done = await until(here, 'no problem', ({ problems }) => problems.length === 0);
  assert.deepEqual(done.filters?.lists[0]?.held, 11);
  const [filter] = done.filters?.interfaces ?? [];
  assert.ok(filter?.wanted !== null && filter?.wanted === filter?.held);
});

test('of a new version only the pieces that are new are fetched; the former goes on till then', async (t) => {
  const here = await standing(t);
  const before = list('bad', 'one', 'two', 'three');
  const after = list('bad', 'one', 'zwei', 'three');
  offer(here, before);
  here.controller.push(naming(6, before));
  await applied(here, naming(6, before));
  here.controller.push(naming(7, after));
  const status = await until(here, 'it waits', ({ problems }) =>
    problems.some((problem) => problem.includes('its former version goes on')),
  );
  assert.deepEqual(heldLists(here), [before.entry.blob.sha256]);
  assert.equal(status.filters?.lists[0]?.chunksMissing, 1);
  // Blocking by hand waits for no list.
  const answer = await override(here, 'block', '192.0.2.1');
  assert.deepEqual([answer.effective, answer.note], [true, '']);
  assert.deepEqual(held(here)?.blocks, ['192.0.2.1/32']);

  const [fresh] = after.chunks.slice(1);
  assert.ok(fresh);
  await waitFor('it is asked for', () => here.controller.asked().length === 4);
  assert.equal(here.controller.asked()[3], fresh[0]);
  here.controller.sendChunk(...fresh);
  await applied(here, naming(7, after));
  assert.deepEqual(heldLists(here), [after.entry.blob.sha256]);
  await waitFor('the former piece is gone from the disk', () => {
    const lying = readdirSync(join(here.stateDirectory, 'chunks'));
    return (
      lying.sort().join() ===
      after.chunks
        .map(([name]) => name)
        .sort()
        .join()
    );
  });
});

test('pieces of a version that was never whole leave the disk with the spec that named it', async (t) => {
  const here = await standing(t);
  const lies = (name: string) => existsSync(join(here.stateDirectory, 'chunks', name));
  const [former, later] = [list('bad', 'one', 'two'), list('bad', 'uno', 'dos')];
  const [one] = former.chunks;
  const [uno] = later.chunks;
  assert.ok(one && uno);
  // Of either version the other piece never comes.
  here.controller.chunks.set(...one);
  here.controller.chunks.set(...uno);
  here.controller.push(naming(6, former));
  await waitFor('a piece is here', () => lies(one[0]));
  here.controller.push(naming(7, later));
  await waitFor('it is gone', () => !lies(one[0]));
  await waitFor('a piece of the other version is here', () => lies(uno[0]));
});

test('a piece that comes broken is told, and asked for again', async (t) => {
  const here = await standing(t);
  const bad = list('bad', 'one');
  const [piece] = bad.chunks;
  assert.ok(piece);
  here.controller.chunks.set(piece[0], Buffer.from('eno'));
  here.controller.push(naming(6, bad));
  await until(here, 'it is told', ({ problems }) =>
    problems.some((problem) => /can't be fetched.*another one/.test(problem)),
  );
  assert.deepEqual(heldLists(here), []);
  here.controller.chunks.set(...piece);
  await applied(here, naming(6, bad));
  assert.equal(here.controller.asked().length, 2);
});

test('a piece that nobody has is told; the spec that no longer names it is applied', async (t) => {
  const here = await standing(t);
  const [gone, kept] = [list('gone', 'one'), list('kept', 'two')];
  offer(here, kept);
  for (const [name] of gone.chunks) here.controller.chunks.set(name, null);
  here.controller.push(naming(6, gone, kept));
  await until(here, 'it is told', ({ problems }) =>
    problems.some((problem) => problem.includes('the controller has no chunk')),
  );
  await waitFor('the other list is loaded', () => heldLists(here).length === 1);
  here.controller.push(naming(7, kept));
  await applied(here, naming(7, kept));
  await until(here, 'no problem', ({ problems }) => problems.length === 0);
});

test('fetching goes on where it stopped when the stream comes back', async (t) => {
  const here = await standing(t);
  const bad = list('bad', 'one', 'two');
  const [one] = bad.chunks;
  assert.ok(one);
  here.controller.chunks.set(...one);
  here.controller.push(naming(6, bad));
  await waitFor('one piece is on the disk', () =>
    existsSync(join(here.stateDirectory, 'chunks', one[0])),
  );
  offer(here, bad);
  await here.controller.restart();
  await applied(here, naming(6, bad));
  const counts = here.controller.asked().filter((name) => name === one[0]).length;
  assert.equal(counts, 1);
});

test('what a host can not take is told, and tried again; nothing is given up for it', async (t) => {
  const here = await standing(t);
  const bad = list('bad', 'one');
  offer(here, bad);
  await override(here, 'block', '192.0.2.1');
  here.host.refusing = 'ENOMEM: the kernel has no memory for it';
  here.controller.push(naming(6, bad));
  const status = await until(here, 'it is told', ({ problems }) =>
    problems.some((problem) => /goes on with what it held: ENOMEM/.test(problem)),
  );
  assert.notEqual(status.appliedHash, specHash(naming(6, bad)));
  assert.deepEqual(held(here)?.blocks, ['192.0.2.1/32']);
  const refused = await override(here, 'block', '192.0.2.2');
  assert.equal(refused.effective, false);
  assert.match(refused.note, /uplink0 does not hold it: ENOMEM/);
  here.host.refusing = null;
  await applied(here, naming(6, bad));
  assert.deepEqual(held(here)?.blocks, ['192.0.2.1/32', '192.0.2.2/32']);
});

test('after a restart lists and overrides are as before, and nothing is asked for', async (t) => {
  const first = await standing(t);
  const bad = list('bad', 'one', 'two');
  offer(first, bad);
  first.controller.push(naming(6, bad));
  await applied(first, naming(6, bad));
  await override(first, 'block', '192.0.2.1');
  await override(first, 'allow', '198.51.100.0/24', 3_600_000);
  const [asked, before] = [first.controller.asked().length, held(first)];
  first.host.filled.clear();
  const second = await first.restart();
  await waitFor('the filter is filled', () => held(second));
  assert.deepEqual(held(second), before);
  assert.equal(second.controller.asked().length, asked);
  const { filters } = await second.guard.port.status();
  assert.deepEqual(
    filters?.overrides.map(({ verdict, prefix }) => `${verdict} ${prefix}`),
    ['block 192.0.2.1/32', 'allow 198.51.100.0/24'],
  );
});

test('a list that went bad on the disk is fetched again; until then the filter is left alone', async (t) => {
  const first = await standing(t);
  const bad = list('bad', 'one', 'two');
  offer(first, bad);
  first.controller.push(naming(6, bad));
  await applied(first, naming(6, bad));
  const [piece] = bad.chunks;
  assert.ok(piece);
  writeFileSync(join(first.stateDirectory, 'chunks', piece[0]), 'oNe');
  first.host.filled.clear();
  first.controller.chunks.delete(piece[0]);
  const second = await first.restart();
  await until(second, 'it is told', ({ problems }) =>
    problems.some((problem) => problem.includes('was corrupt on the disk')),
  );
  assert.equal(held(second), undefined, 'it was not filled with less');
  await waitFor('it is asked for', () => second.controller.asked().length === 3);
  second.controller.sendChunk(...piece);
  await waitFor('it is loaded', () => heldLists(second).length === 1);
  await until(second, 'no problem', ({ problems }) => problems.length === 0);
});

test('a piece that the disk does not take is told; with room it comes, and the old list goes on till then', async (t) => {
  const here = await standing(t);
  const [before, after] = [list('bad', 'one'), list('bad', 'two')];
  offer(here, before);
  here.controller.push(naming(6, before));
  await applied(here, naming(6, before));
  const at = join(here.stateDirectory, 'chunks');
  rmSync(at, { recursive: true });
  writeFileSync(at, '');
  offer(here, after);
  here.controller.push(naming(7, after));
  await until(here, 'it is told', ({ problems }) =>
    problems.some((problem) => /can't be fetched: .* can't be kept: E(NOTDIR|EXIST)/.test(problem)),
  );
  assert.deepEqual(heldLists(here), [before.entry.blob.sha256]);
  assert.equal((await override(here, 'block', '192.0.2.1')).effective, true);
  rmSync(at);
  await applied(here, naming(7, after));
  assert.deepEqual(heldLists(here), [after.entry.blob.sha256]);
});

test('which lists are loaded is written down as soon as the disk takes it', async (t) => {
  const here = await standing(t);
  const note = join(here.stateDirectory, 'filters.json');
  rmSync(note, { force: true });
  mkdirSync(note);
  const bad = list('bad', 'one');
  offer(here, bad);
  here.controller.push(naming(6, bad));
  await until(here, 'it is told', ({ problems }) =>
    problems.some((problem) => /filters\.json .* can't be written: EISDIR/.test(problem)),
  );
  rmSync(note, { recursive: true });
  await waitFor('it is written', () => existsSync(note));
  assert.ok(readFileSync(note, 'utf8').includes(bad.entry.blob.sha256));
});

test('an override ends by itself, and is taken back by hand', async (t) => {
  const here = await standing(t);
  const short = await override(here, 'block', '192.0.2.1', 300);
  assert.ok(short.effective && short.tookMs >= 0);
  await override(here, 'block', '192.0.2.2', 3_600_000);
  assert.deepEqual(held(here)?.blocks, ['192.0.2.1/32', '192.0.2.2/32']);
  await waitFor('it has ended', () => held(here)?.blocks.join() === '192.0.2.2/32');
  const back = await override(here, 'none', '192.0.2.2');
  assert.deepEqual([back.effective, back.note], [true, '']);
  assert.deepEqual(held(here)?.blocks, []);
  const again = await override(here, 'none', '192.0.2.2');
  assert.match(again.note, /nothing was overridden for 192\.0\.2\.2\/32/);
  await assert.rejects(override(here, 'block', '192.0.2.7/24'), /is 192\.0\.2\.0\/24 meant/);
  await assert.rejects(override(here, 'flood', '192.0.2.7'), /none of block, allow, none/);
  await assert.rejects(override(here, 'block', '192.0.2.7', 8.64e15), /no date so far away/);
});

test('a block that a clock which was ahead took for ended is in force once that is set', async (t) => {
  const here = await standing(t);
  const rightMs = Date.now();
  const untilMs = rightMs + 3_600_000;
  const blocking = { ...spec(6), blocks: [{ prefix: '192.0.2.7/32', untilMs, reason: 'flood' }] };
  t.mock.timers.enable({ apis: ['Date'], now: rightMs + 7_200_000 });
  here.controller.push(blocking);
  await applied(here, blocking);
  assert.deepEqual(held(here)?.blocks, []);
  t.mock.timers.setTime(rightMs);
  // It looks at the time of day at whatever comes, else within a minute.
  here.controller.push(blocking);
  await waitFor('it is in force', () => held(here)?.blocks.join() === '192.0.2.7/32');
});

test('unblocking what a list holds says so, and how to spare it', async (t) => {
  const here = await standing(t);
  const packed = Buffer.from(pack(prefixSet(['192.0.2.0/24', '2001:db8::/32'])));
  const bad = list('bad', packed);
  offer(here, bad);
  here.controller.push(naming(6, bad));
  await applied(here, naming(6, bad));
  await override(here, 'block', '192.0.2.7');
  const still = await override(here, 'none', '192.0.2.7');
  assert.equal(still.effective, false);
  assert.match(still.note, /the list bad blocks it still.*aether edge allow/);
  await override(here, 'block', '198.51.100.7');
  assert.equal((await override(here, 'none', '198.51.100.7')).effective, true);
});

test('neither a freeze nor the want of a controller holds an override up', async (t) => {
  const here = await standing(t);
  using client = new EdgeLocalClient(here.socket);
  await client.freeze(0, 'maintenance');
  here.controller.fence = { ...FENCE, ownerRevision: 1 };
  assert.equal((await override(here, 'block', '192.0.2.1')).effective, true);
  assert.deepEqual(held(here)?.blocks, ['192.0.2.1/32']);
});
