/**
 * The addon at the ends of life: exit with open handles, garbage collection, worker threads that are
 * terminated, exceptions in callbacks, wrong use. Each scene is a process of its own, judged by how
 * it ends.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const TIMEOUT_MS = 30_000;
const HERE = JSON.stringify(__dirname);

/** What each scene starts with: a namespace, a socket that hears its links, and a way to make one. */
const PRELUDE = `
  const { NetNs } = require(${HERE} + '/netns.js');
  const { native } = require(${HERE} + '/native.js');
  const { Worker, isMainThread } = require('node:worker_threads');
  const name = 'life' + process.pid + (isMainThread ? '' : 'w');
  const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const veth = (rtnl, i) => rtnl.links.addVeth({ name: 'v' + i, peer: { name: 'p' + i } });
  const buffer = () => Buffer.alloc(65536);
  /** Twenty sessions with themselves, over lo. */
  const pace = (pacer) => { for (let i = 1; i <= 20; i++) {
    const packet = Buffer.from('20c0031800000001' + i.toString(16).padStart(8, '0') + '00000001'.repeat(3), 'hex');
    pacer.set({ discriminator: i, remote: '127.0.0.1', local: null, multihop: false, seamless: false, packet, pauseMinUs: 1000, pauseMaxUs: 2000, detectUs: 5000, expect: null }); } };
  const linkSocket = async (ns, onData) => {
    const socket = await native.NlSocket.open(ns.fd, 0);
    socket.setOpt(270, 1, 1);
    socket.start(onData, () => {}, buffer());
    return socket;
  };
  process.on('exit', () => { if (isMainThread) try { require('node:child_process').execSync('ip netns del ' + name + ' 2>/dev/null'); } catch {} });
`;

interface Scene {
  what: string;
  code: string;
  /** The main thread does not load the addon. */
  bare?: true;
  status?: number;
  stdout?: RegExp;
  stderr?: RegExp;
}

const SCENES: Scene[] = [
  {
    what: 'the process exits on its own when all handles are closed',
    code: `const ns = await NetNs.create(name);
      const rtnl = await ns.rtnl();
      const watch = await ns.watch(['LINK'], () => {});
      await veth(rtnl, 0); await ns.delete(); console.log('closed');`,
    stdout: /closed/,
  },
  {
    what: 'an idle request socket does not keep the process alive',
    code: `const ns = await NetNs.create(name); const rtnl = await ns.rtnl(); await rtnl.links.list(); console.log('idle');`,
    stdout: /idle/,
  },
  {
    what: 'process.exit with a watch, a poll and requests under way',
    code: `const ns = await NetNs.create(name); const rtnl = await ns.rtnl();
      await ns.watch(['LINK'], () => {});
      for (let i = 0; i < 20; i++) { void veth(rtnl, i).catch(() => {}); }
      void native.nsCreate('/run/netns/' + name + 'x').catch(() => {});
      await delay(1);
      process.on('exit', () => { try { require('node:child_process').execSync('ip netns del ' + name + 'x 2>/dev/null'); } catch {} });
      process.exit(7);`,
    status: 7,
  },
  {
    what: 'a started socket that nobody refers to goes on hearing after garbage collection',
    code: `const ns = await NetNs.create(name); const rtnl = await ns.rtnl(); let heard = 0;
      await linkSocket(ns, () => { heard++; });
      await veth(rtnl, 0); await delay(50); const before = heard;
      for (let i = 0; i < 5; i++) { global.gc(); await delay(5); }
      await veth(rtnl, 1); await delay(50);
      console.log(before > 0 && heard > before ? 'still hears' : 'deaf'); process.exit(0);`,
    stdout: /still hears/,
  },
  {
    what: 'sockets, objects and links that were never closed are collected, fds and all',
    code: `const fs = require('node:fs'); const count = () => fs.readdirSync('/proc/self/fd').length;
      const ns = await NetNs.create(name); global.gc(); await delay(10);
      const elf = fs.readFileSync(require('node:path').join(${HERE}, '../../../bpf/build/xdp_root.bpf.o'));
      const before = count();
      const make = async () => { for (let i = 0; i < 20; i++) {
        await native.NlSocket.open(ns.fd, 0);
        const object = await native.BpfObject.load(elf, null, null); object.program('aether_root'); object.map('counters'); } };
      await make();
      for (let i = 0; i < 20 && count() > before + 2; i++) { global.gc(); await delay(20); }
      console.log(count() <= before + 2 ? 'collected' : 'leaked ' + (count() - before)); process.exit(0);`,
    stdout: /collected/,
  },
  {
    what: 'an exception in the callback is an uncaughtException, and the socket goes on',
    code: `const ns = await NetNs.create(name); const rtnl = await ns.rtnl(); let calls = 0; const caught = [];
      process.on('uncaughtException', (error) => caught.push(error.message));
      await linkSocket(ns, () => { calls++; throw new Error('boom'); });
      await veth(rtnl, 0); await delay(50); await veth(rtnl, 1); await delay(50);
      console.log(calls >= 2 && caught.every((m) => m === 'boom') ? 'went on' : 'stopped ' + calls); process.exit(0);`,
    stdout: /went on/,
  },
  {
    what: 'an exception in the callback ends the process where nobody catches it',
    code: `const ns = await NetNs.create(name); const rtnl = await ns.rtnl();
      await linkSocket(ns, () => { throw new Error('boom'); });
      await veth(rtnl, 0); await delay(5000); console.log('survived');`,
    status: 1,
    stderr: /boom/,
  },
  {
    what: 'a worker thread is terminated with a watch open and requests under way',
    code: `const source = __prelude + '(async () => { const ns = await NetNs.create(name); const rtnl = await ns.rtnl(); await ns.watch(["LINK"], () => {});'
        + 'for (let i = 0; i < 1000; i++) { void veth(rtnl, i).catch(() => {}); if (i === 20) require("node:worker_threads").parentPort.postMessage(name); await delay(1); } })()';
      for (let round = 0; round < 3; round++) {
        const worker = new Worker(source, { eval: true });
        const made = await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject); });
        await worker.terminate();
        await native.nsDelete('/run/netns/' + made);
      }
      console.log('terminated');`,
    stdout: /terminated/,
  },
  {
    bare: true,
    what: 'only a worker loads the addon: its thread nl-tx outlives the worker without harm',
    code: `const { Worker } = require('node:worker_threads'); const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      const source = __prelude + '(async () => { const ns = await NetNs.create(name); const rtnl = await ns.rtnl(); await veth(rtnl, 0); await ns.delete(); })()';
      const worker = new Worker(source, { eval: true });
      await new Promise((resolve, reject) => { worker.once('exit', resolve); worker.once('error', reject); });
      await delay(100); console.log('outlived');`,
    stdout: /outlived/,
  },
  {
    what: 'wrong use throws: started twice, used after close, arguments of other types',
    code: `const assert = require('node:assert/strict'); const ns = await NetNs.create(name);
      const socket = await native.NlSocket.open(ns.fd, 0);
      assert.throws(() => socket.start(() => {}, () => {}, Buffer.alloc(10)), TypeError);
      assert.throws(() => socket.start(1, 2, 3), TypeError);
      socket.start(() => {}, () => {}, buffer());
      assert.throws(() => socket.start(() => {}, () => {}, buffer()), { code: 'EALREADY' });
      assert.throws(() => socket.send('text'), TypeError);
      assert.throws(() => socket.send(new Uint16Array(8)), TypeError);
      socket.close(); socket.close();
      assert.throws(() => socket.send(buffer()), { code: 'EBADF' });
      assert.throws(() => socket.portId, { code: 'EBADF' });
      assert.throws(() => new native.NlSocket(1), TypeError);
      assert.throws(() => native.NlSocket.prototype.send.call({}, buffer()), TypeError);
      await assert.rejects(native.NlSocket.open(null, 99), { code: 'EPROTONOSUPPORT' });
      assert.throws(() => native.NlSocket.open(9999, 0), { code: 'EBADF' });
      assert.throws(() => native.BpfLink.attachXdp({}, 1, null, 0), TypeError);
      assert.throws(() => native.nsCreate(7), TypeError);
      await ns.delete(); console.log('threw');`,
    stdout: /threw/,
  },
  {
    what: 'maps, their memory, rings and programs that were never closed are collected, mappings and all',
    code: `const fs = require('node:fs'); const { testObject } = require(${HERE} + '/test-programs.js');
      const mapped = () => fs.readFileSync('/proc/self/maps', 'utf8').split('bpf-map').length - 1;
      const fds = () => fs.readdirSync('/proc/self/fd').length;
      const create = (flags) => native.BpfMap.create({ type: 2, name: 'w', keySize: 4, valueSize: 8, maxEntries: 1000, flags });
      const elf = testObject(); global.gc(); await delay(10); const before = fds();
      const make = async () => { for (let i = 0; i < 50; i++) {
        create(1 << 10).mmap(); create(1 << 10);
        const object = await native.BpfObject.load(elf, null, null);
        native.RingReader.open(object.map('ring')); object.program('redirect'); } };
      await make();
      console.log(mapped() > 50 ? 'mapped' : 'not mapped: ' + mapped());
      for (let i = 0; i < 40 && (fds() > before + 2 || mapped() > 0); i++) { global.gc(); await delay(20); }
      console.log(fds() <= before + 2 && mapped() === 0 ? 'collected' : 'leaked ' + (fds() - before) + ' ' + mapped()); process.exit(0);`,
    stdout: /^mapped\ncollected/,
  },
  {
    what: 'a worker thread is terminated with mapped memory, batches, frames and swaps under way',
    code: `const source = __prelude + '(async () => { const { testObject } = require(' + JSON.stringify(${HERE} + '/test-programs.js') + ');'
        + 'const object = await native.BpfObject.load(testObject(), null, null); const outer = object.map("outer"); const key = new Uint8Array(4);'
        + 'const table = native.BpfMap.create({ type: 1, name: "t", keySize: 4, valueSize: 8, maxEntries: 70000, flags: 0 });'
        + 'const keys = new Uint8Array(Uint32Array.from({ length: 65536 }, (_, i) => i).buffer), values = new Uint8Array(65536 * 8);'
        + 'for (let i = 0; ; i++) { const words = native.BpfMap.create({ type: 2, name: "w", keySize: 4, valueSize: 8, maxEntries: 4096, flags: 5120 });'
        + 'words.mmap()[1] = 1; void outer.setInner(key, words).catch(() => {}); void table.updateBatch(keys, values, 65536).catch(() => {});'
        + 'void object.program("rodata_verdict").sendLive(new Uint8Array(64), 64, 64, null, 0).catch(() => {});'
        + 'if (i === 5) require("node:worker_threads").parentPort.postMessage(0); await delay(1); } })()';
      for (let round = 0; round < 3; round++) {
        const worker = new Worker(source, { eval: true });
        await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject); });
        await worker.terminate();
      }
      console.log('terminated');`,
    stdout: /terminated/,
  },
  {
    what: 'process.exit with a pacer that sends, hears and reports',
    code: `const pacer = native.BfdPacer.open(() => {}); pace(pacer); await delay(30); process.exit(7);`,
    status: 7,
  },
  {
    what: 'a worker thread is terminated with a pacer open, and the ports are free again',
    code: `const source = __prelude + '(async () => { const pacer = native.BfdPacer.open(() => {}); pace(pacer);'
        + 'await delay(20); require("node:worker_threads").parentPort.postMessage(0); for (;;) await delay(1); })()';
      for (let round = 0; round < 3; round++) {
        const worker = new Worker(source, { eval: true });
        await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject); });
        await worker.terminate();
      }
      native.BfdPacer.open(() => {}).close(); console.log('free');`,
    stdout: /free/,
  },
  {
    what: 'a pacer that nobody refers to goes on after garbage collection; closed in its callback it ends',
    code: `let told = 0;
      (() => { const pacer = native.BfdPacer.open((events) => { told += events.length; if (told > 100) { pacer.close(); console.log('closed'); } }); pace(pacer); })();
      for (let i = 0; i < 5; i++) { global.gc(); await delay(5); }`,
    stdout: /closed/,
  },
  {
    what: 'an exception in the callback of a pacer is an uncaughtException, and it goes on',
    code: `let calls = 0; const caught = []; process.on('uncaughtException', (error) => caught.push(error.message));
      const pacer = native.BfdPacer.open(() => { calls++; if (calls > 3) pacer.close(); throw new Error('boom'); }); pace(pacer);
      process.on('exit', () => console.log(caught.length === calls && caught.every((m) => m === 'boom') ? 'went on' : 'lost'));`,
    stdout: /went on/,
  },
  {
    what: 'messages that wait while their socket closes are dropped',
    code: `const ns = await NetNs.create(name);
      for (let round = 0; round < 20; round++) {
        const rtnl = await ns.rtnl(); const all = [];
        for (let i = 0; i < 10; i++) all.push(veth(rtnl, round * 10 + i).catch(() => {}));
        if (round % 2) await delay(1);
        rtnl.close(); await Promise.all(all);
      }
      await ns.delete(); console.log('dropped');`,
    stdout: /dropped/,
  },
];

for (const { what, code, bare, status = 0, stdout, stderr } of SCENES) {
  test(what, () => {
    const prelude = `const __prelude = ${JSON.stringify(PRELUDE)};`;
    const script = `${prelude}${bare ? '' : PRELUDE}(async () => { ${code} })();`;
    const args = ['--expose-gc', '-e', script];
    const ended = spawnSync(process.execPath, args, {
      cwd: join(__dirname),
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
    });
    const said = `${ended.stdout}\n${ended.stderr}`;
    assert.equal(ended.signal, null, said);
    assert.equal(ended.status, status, said);
    assert.doesNotMatch(ended.stderr, /AddressSanitizer|runtime error:/);
    if (stdout) assert.match(ended.stdout, stdout, said);
    if (stderr) assert.match(ended.stderr, stderr, said);
  });
}
