/** What a receiver has seen so far, by counters of the kernel alone. */
import { readFileSync } from 'node:fs';
import { run } from './commands';
import { inside, type Receiver } from './topology';

export interface Counters {
  /** Frames that its queue has handed on, to the filter first of all. */
  received: number;
  /** Frames for which the queue was full. */
  overrun: number;
  /** CPU time of the thread that polls the queue. */
  cpuNs: number;
  /** Time that thread was ready and had no core. */
  waitNs: number;
  /** What came through to the routing lookup and ended there. */
  passed: number;
  /** Packets whose checksum was wrong: the generator's fault. */
  checksumErrors: number;
}

/** `Ip: A B` over `Ip: 1 2`, as /proc/net/snmp and netstat have it. */
function protocolCounter(text: string, protocol: string, name: string): number {
  const rows = text.split('\n').filter((line) => line.startsWith(`${protocol}: `));
  const place = rows[0]?.split(' ').indexOf(name) ?? -1;
  const value = Number(rows[1]?.split(' ')[place]);
  if (place < 0 || !Number.isFinite(value))
    throw new Error(`The kernel counts no ${protocol} ${name}`);
  return value;
}

const deviceCounter = (text: string, name: string): number =>
  Number(new RegExp(`^ *${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? NaN);

/** `/proc/<pid>/schedstat`: time on a CPU, time in wait for one, in ns. */
function schedstat(pid: number): { cpuNs: number; waitNs: number } {
  const [cpuNs = NaN, waitNs = NaN] = readFileSync(`/proc/${pid}/schedstat`, 'latin1')
    .split(' ')
    .map(Number);
  return { cpuNs, waitNs };
}

export function countersOf({ ns, device, poller, gate }: Receiver): Counters {
  const script = `ethtool -S ${device} && cat /proc/net/snmp /proc/net/netstat`;
  const text = run(inside(ns, 'sh', '-c', script));
  return {
    received: deviceCounter(text, 'rx_queue_0_xdp_packets'),
    overrun: deviceCounter(run(['ethtool', '-S', gate.device]), 'tx_queue_0_xdp_xmit_errors'),
    ...schedstat(poller),
    passed: protocolCounter(text, 'Ip', 'InAddrErrors'),
    checksumErrors: protocolCounter(text, 'IpExt', 'InCsumErrors'),
  };
}

export const since = (before: Counters, after: Counters): Counters => ({
  received: after.received - before.received,
  overrun: after.overrun - before.overrun,
  cpuNs: after.cpuNs - before.cpuNs,
  waitNs: after.waitNs - before.waitNs,
  passed: after.passed - before.passed,
  checksumErrors: after.checksumErrors - before.checksumErrors,
});
