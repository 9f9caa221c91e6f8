/** The root program as the addon loads, runs and reads it; what it makes of packets: bpf/. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { REASONS } from '../../core/filter/questions';
import { native, type BpfMap, type BpfObject, type BpfProgram } from './native';

const XDP_PASS = 2;
const MACS = '020000000001 020000000002';

let object: BpfObject;
let program: BpfProgram;
let counters: BpfMap;

before(async () => {
  const elf = readFileSync(join(__dirname, '../../../bpf/build/xdp_root.bpf.o'));
  object = await native.BpfObject.load(elf, null, null);
  program = object.program('aether_root');
  counters = object.map('counters');
});
after(() => {
  counters.close();
  program.close();
  object.close();
});

const packet = (hex: string, size = 60): Buffer => {
  const bytes = Buffer.from(hex.replace(/\s/g, ''), 'hex');
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, size - bytes.length))]);
};

/** Packets and bytes of each reason, summed over CPUs. */
function counts(): Record<string, [number, number]> {
  const value = Buffer.alloc(counters.info.valueSize);
  const read = (index: number): [number, number] => {
    counters.lookup(new Uint8Array(Uint32Array.of(index).buffer), value);
    let [packets, bytes] = [0, 0];
    for (let at = 0; at < value.length; at += 16) {
      packets += Number(value.readBigUInt64LE(at));
      bytes += Number(value.readBigUInt64LE(at + 8));
    }
    return [packets, bytes];
  };
  return Object.fromEntries(REASONS.map((name, index) => [name, read(index)]));
}

/** With a config that nobody has written yet: nothing is dropped. */
const FIXTURES = [
  { what: 'ARP', hex: `${MACS} 0806 0001`, counted: 'passNotIp' },
  {
    what: 'IPv4',
    hex: `${MACS} 0800 45000014 00000000 40ff0000 c6336407 c0000201`,
    counted: 'pass',
  },
  { what: 'a bare Ethernet header', hex: `${MACS} 0800`, size: 14, counted: 'passMalformed' },
];

for (const { what, hex, size, counted } of FIXTURES) {
  test(`${what} passes unchanged and counts as ${counted}`, () => {
    const sent = packet(hex, size);
    const before = counts();
    const { verdict, packet: after } = program.testRun(sent, 1);
    assert.equal(verdict, XDP_PASS);
    assert.deepEqual(after, sent);
    for (const [name, [packets, bytes]] of Object.entries(counts())) {
      const hit = name === counted;
      const was = before[name] ?? [0, 0];
      assert.deepEqual([packets - was[0], bytes - was[1]], hit ? [1, sent.length] : [0, 0], name);
    }
  });
}

test('the tag of the program is the same whenever it is loaded', async () => {
  const elf = readFileSync(join(__dirname, '../../../bpf/build/xdp_root.bpf.o'));
  const again = await native.BpfObject.load(elf, null, null);
  const twin = again.program('aether_root');
  assert.equal(twin.info.tag, program.info.tag);
  assert.notEqual(twin.info.id, program.info.id);
  twin.close();
  again.close();
});

test('what is no object, and what is not in it, is refused with libbpf’s words', async () => {
  await assert.rejects(native.BpfObject.load(Buffer.from('junk'), null, null), {
    code: 'EINVAL',
    syscall: 'bpf_object__open_mem',
    log: /not a proper ELF object/,
  });
  assert.throws(() => object.program('nope'), { code: 'ENOENT' });
  assert.throws(() => object.map('nope'), { code: 'ENOENT' });
});

test('a counter that is set reads as it was set', () => {
  const key = Buffer.from([2, 0, 0, 0]);
  const value = Buffer.alloc(counters.info.valueSize);
  value.writeBigUInt64LE(7n, 0);
  value.writeBigUInt64LE(700n, 8);
  counters.update(key, value, 0);
  assert.deepEqual(counts()['passFailsafe'], [7, 700]);
});

test('wrong use of a map throws and touches nothing', () => {
  assert.throws(() => counters.lookup(Buffer.alloc(3), Buffer.alloc(1)), TypeError);
  assert.throws(() => counters.lookup(Buffer.alloc(4), Buffer.alloc(1)), TypeError);
  const beyond = Buffer.from([99, 0, 0, 0]);
  assert.equal(counters.lookup(beyond, Buffer.alloc(counters.info.valueSize)), false);
  assert.throws(() => counters.delete(Buffer.alloc(4)), { code: 'EINVAL' });
});
