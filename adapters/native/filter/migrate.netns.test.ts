/** Maps of another layout under a program that goes on: an older Aether's, a newer one's, a half-done change. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { native } from '../native';
import { CONFIG, FILTER_ABI } from './abi';
import { MAPS, nextPath, pinInfo, pinPath, XDP_OBJECT, XDP_PROGRAM } from './pins';
import {
  contentsFor,
  frameFrom,
  testEngine,
  testInterface,
  verdictOn,
  verdicts,
} from './testing/support';

/** As of the first release: three counters, by class, and nothing else. It drops port 9. */
const OLDER = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
struct counter { __u64 packets, bytes; };
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 3);
  __type(key, __u32);
  __type(value, struct counter);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");
SEC("xdp") int aether_root(struct xdp_md *ctx) {
  __u32 key = 0;
  struct counter *counter = bpf_map_lookup_elem(&counters, &key);
  if (counter) counter->packets++;
  return XDP_DROP;
}`;

function older(): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), 'aether-older-'));
  const [source, object] = [join(directory, 'older.bpf.c'), join(directory, 'older.bpf.o')];
  const machine = execFileSync('gcc', ['-dumpmachine'], { encoding: 'utf8' }).trim();
  try {
    writeFileSync(source, OLDER);
    const flags = ['-g', '-O2', '-target', 'bpf', `-I/usr/include/${machine}`];
    execFileSync('env', ['-u', 'LD_PRELOAD', 'clang', ...flags, '-c', source, '-o', object]);
    return readFileSync(object);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** As an agent of that time did it. */
async function attachOlder(name: string, index: number, elf: Uint8Array): Promise<void> {
  execFileSync('mkdir', ['-p', pinPath(name)]);
  const object = await native.BpfObject.load(elf, pinPath(name), null);
  const program = object.program(XDP_PROGRAM);
  const link = await native.BpfLink.attachXdp(program, index, null, 0);
  link.pin(pinPath(name, 'link'));
  for (const handle of [link, program, object]) handle.close();
}

test('the maps of the first release give way, without a moment in which nothing filters', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  await attachOlder(name, index, older());
  const wanted = contentsFor(name, { lists: [blobs.list('bad', ['198.51.100.0/24'])] });
  const [outcome] = await engine.setFilters([wanted]);
  assert.match(
    outcome?.error ?? '',
    /map counters has another shape: its program is replaced first/,
  );
  const { programId } = pinInfo(name)!;
  await engine.replace(name);
  assert.notEqual(pinInfo(name)!.programId, programId);
  assert.equal(pinInfo(name)!.tag, engine.tag);
  assert.equal(verdicts(name, '198.51.100.6', '203.0.113.9'), 'drop pass');
  assert.ok(!existsSync(nextPath(name)));
  assert.equal(readdirSync(pinPath(name)).length, MAPS.length + 1);
  assert.equal((await engine.setFilters([wanted]))[0]?.error, null);
  assert.equal(engine.contents(name, pinInfo(name)).state, 'right');
});

test('lists in maps of another ABI are not given up for nothing', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const wanted = contentsFor(name, { lists: [blobs.list('bad', ['198.51.100.0/24'])] });
  await engine.setFilters([wanted]);
  await engine.attach(name, index, 'native');
  const stranger = await testEngine(t);
  engine.find(name)!.live!.maps.config.writeUInt32LE(7, CONFIG.abi);
  const refused = { code: 'older', message: /ABI 7.*what it shall hold is not known yet/ };
  await assert.rejects(stranger.engine.replace(name), refused);
  assert.equal(verdicts(name, '198.51.100.6'), 'drop');
  stranger.blobs.list('bad', ['198.51.100.0/24']);
  await stranger.engine.setFilters([wanted]);
  await stranger.engine.replace(name);
  assert.equal(verdicts(name, '198.51.100.6'), 'drop');
  const { config } = stranger.engine.find(name)!.live!.maps;
  assert.equal(config.readUInt32LE(CONFIG.abi), FILTER_ABI);
});

test('maps of another layout that nothing reads are made anew', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  await attachOlder(name, index, older());
  execFileSync('bpftool', ['link', 'detach', 'pinned', pinPath(name, 'link')]);
  rmSync(pinPath(name, 'link'));
  await engine.setFilters([contentsFor(name, { blocks: ['198.51.100.0/24'] })]);
  await engine.attach(name, index, 'native');
  assert.equal(verdicts(name, '198.51.100.6'), 'drop');
  assert.deepEqual([...blobs.blobs], []);
});

test('a migration that was cut before or after the link was moved ends in one set of maps', async (t) => {
  for (const moved of [false, true]) {
    const { engine, blobs } = await testEngine(t);
    const { name, index } = await testInterface(t, engine);
    await attachOlder(name, index, older());
    execFileSync('mkdir', ['-p', nextPath(name)]);
    const object = await native.BpfObject.load(readFileSync(XDP_OBJECT), nextPath(name), null);
    const program = object.program(XDP_PROGRAM);
    if (moved) {
      const link = native.BpfLink.open(pinPath(name, 'link'));
      await link.update(program);
      link.close();
    }
    for (const handle of [program, object]) handle.close();
    await engine.setFilters([contentsFor(name, { lists: [blobs.list('b', ['198.51.100.0/24'])] })]);
    await engine.replace(name);
    assert.ok(!existsSync(nextPath(name)));
    assert.equal(readdirSync(pinPath(name)).length, MAPS.length + 1);
    assert.equal(verdictOn(name, frameFrom('198.51.100.6')), 'drop');
    assert.equal(engine.contents(name, pinInfo(name)).state, 'right');
  }
});
