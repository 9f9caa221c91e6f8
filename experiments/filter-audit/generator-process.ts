/**
 * The flood's process. One JSON object a line in (`Flood`), one out (`Sent`); ends with its standard
 * input. What sends is real-time, so that nothing takes its core while it keeps a pace.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { native } from '../../adapters/native/native';
import { run } from './commands';
import type { Flood, Sent } from './generator';
import { GENERATOR_CPU } from './topology';

const OBJECT = join(__dirname, '../../../bpf/build/experiments/filter-audit/bpf/gen.bpf.o');
const FRAME_BYTES = 60;
/** Frames that the kernel runs before it looks up: a bulk of redirects is 16. */
const BATCH = 64;
/** bpf/gen.bpf.c: struct orders. */
const ORDERS = {
  gapNs: 8,
  stop: 12,
  destination: 16,
  port: 20,
  to: 22,
  from: 28,
  dueNs: 40,
  sent: 48,
};

const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
const addressBytes = (address: string): Buffer => Buffer.from(address.split('.').map(Number));

const threads = (): string[] => readdirSync('/proc/self/task');

/**
 * Floods are sent from threads of libuv's pool. These alone are made real-time: V8's own wait for one
 * another by spinning, and would do so for ever if none gave way to the other.
 */
function makeRealTime(tids: readonly string[]): void {
  // In a process namespace of its own, as the tests' sandbox has, other ids hold than /proc shows.
  if (readlinkSync('/proc/self') !== String(process.pid)) return;
  for (const tid of tids) run(['chrt', '--fifo', '-p', '1', tid]);
}

async function main(): Promise<void> {
  const before = new Set(threads());
  const object = await native.BpfObject.load(readFileSync(OBJECT), null, null);
  makeRealTime(threads().filter((tid) => !before.has(tid)));
  const program = object.program('generate');
  const orders = Buffer.from(object.map('orders').mmap().buffer);
  const sources = new Uint32Array(object.map('sources').mmap().buffer);

  const obey = (flood: Flood): void => {
    const drawn = readFileSync(flood.sourcesPath);
    for (let i = 0; i < drawn.length / 4; i++) sources[2 * i] = drawn.readUInt32LE(4 * i);
    orders.fill(0);
    orders.writeUInt32LE(flood.ifindex, 0);
    orders.writeUInt32LE(drawn.length / 4, 4);
    orders.writeUInt32LE(flood.gapNs, ORDERS.gapNs);
    addressBytes(flood.destination).copy(orders, ORDERS.destination);
    orders.writeUInt16BE(flood.port, ORDERS.port);
    macBytes(flood.to).copy(orders, ORDERS.to);
    macBytes(flood.from).copy(orders, ORDERS.from);
  };
  const send = async (flood: Flood): Promise<Sent> => {
    obey(flood);
    const frame = new Uint8Array(FRAME_BYTES);
    const wallNs = await program.sendLive(frame, flood.frames, BATCH, null, GENERATOR_CPU);
    return { frames: Number(orders.readBigUInt64LE(ORDERS.sent)), wallNs, error: null };
  };

  const answer = (sent: Sent): void => void process.stdout.write(`${JSON.stringify(sent)}\n`);
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'stop') {
      orders.writeUInt32LE(1, ORDERS.stop);
      continue;
    }
    send(JSON.parse(line) as Flood).then(answer, (error: unknown) => {
      answer({ frames: 0, wallNs: 0, error: String(error) });
    });
  }
  process.exit(0);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
