/**
 * The network of the audit, all in the namespace it runs in (`sandbox`) and in some of its own:
 *
 *   generator ──► g1 ═══ r1  receiver 1: one filter, one list
 *                 g2 ═══ r2  receiver 2 ...
 *                 │ bridge
 *   client c0 ═══ gc         honest traffic: enters by the same veth, through the same queue
 *
 * Each filter lies ready in a namespace of its own, so that rounds can go from one to the next without
 * loading anything. A receiver's queue is polled by one kernel thread, pinned, whose CPU time is read.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { run } from './commands';

/** The flood's core; everything else keeps to the other one. */
export const GENERATOR_CPU = 0;
export const RECEIVER_CPU = 1;
const BRIDGE = 'gb';
const CLIENT = {
  ns: 'client',
  device: 'c0',
  gate: 'gc',
  mac: '02:aa:00:00:00:01',
  address: '10.99.0.1',
};

export interface Receiver {
  ns: string;
  device: string;
  ifindex: number;
  mac: string;
  address: string;
  /** The generator's end of its veth. */
  gate: { device: string; ifindex: number; mac: string };
  /** The kernel thread that polls its queue. */
  poller: number;
}

export const inside = (ns: string, ...argv: string[]): string[] => [
  'nsenter',
  `--net=/run/netns/${ns}`,
  ...argv,
];

const batch = (...lines: string[]): string => run(['ip', '-batch', '-'], lines.join('\n'));

/** No stray packet of IPv6, no forwarding, no doubts about sources. */
const QUIET = [
  'net.ipv6.conf.all.disable_ipv6=1',
  'net.ipv6.conf.default.disable_ipv6=1',
  'net.ipv4.ip_forward=0',
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
];

function addNamespace(ns: string): void {
  run(['ip', 'netns', 'add', ns]);
  run(inside(ns, 'sysctl', '-qw', ...QUIET));
  run(['ip', '-n', ns, 'link', 'set', 'lo', 'up']);
}

const indexOf = (device: string, ...where: string[]): number =>
  Number(run(['ip', ...where, '-o', 'link', 'show', 'dev', device]).split(':')[0]);

/** Threads of the kernel carry the names of their devices, which therefore differ between audits. */
function pollerOf(device: string): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const name = readFileSync(`/proc/${pid}/comm`, 'utf8');
      if (name.startsWith(`napi/${device}-`)) return Number(pid);
    } catch {
      // Ended between the two looks.
    }
  }
  throw new Error(`No kernel thread polls ${device}: is it a veth, and its peer up?`);
}

export class Topology {
  readonly client = CLIENT;
  private readonly tag = Math.floor(Math.random() * 36 ** 4).toString(36);
  private count = 0;

  /** `mustPin` false: it will do where threads of the kernel can be seen, but not pinned. */
  constructor(private readonly mustPin: boolean) {
    run(['sysctl', '-qw', ...QUIET]);
    addNamespace(CLIENT.ns);
    batch(
      `link add ${BRIDGE} type bridge mcast_snooping 0`,
      `link add ${CLIENT.gate} type veth peer name ${CLIENT.device} address ${CLIENT.mac} netns ${CLIENT.ns}`,
      `link set ${CLIENT.gate} master ${BRIDGE}`,
      `link set ${CLIENT.gate} up`,
      `link set ${BRIDGE} up`,
    );
    this.bridged(CLIENT.gate, CLIENT.mac);
    run(
      ['ip', '-n', CLIENT.ns, '-batch', '-'],
      `addr add ${CLIENT.address}/16 dev ${CLIENT.device}\nlink set ${CLIENT.device} up`,
    );
  }

  addReceiver(): Receiver {
    const k = ++this.count;
    const hex = k.toString(16).padStart(2, '0');
    const ns = `receiver-${k}`;
    const [device, gate] = [`r${this.tag}${k}`, `g${this.tag}${k}`];
    const [mac, gateMac] = [`02:cc:00:00:00:${hex}`, `02:bb:00:00:00:${hex}`];
    const address = `10.99.1.${k}`;
    addNamespace(ns);
    const queues = 'numtxqueues 1 numrxqueues 1';
    batch(
      `link add ${gate} address ${gateMac} ${queues} type veth peer name ${device} address ${mac} ${queues} netns ${ns}`,
      `link set ${gate} master ${BRIDGE}`,
      `link set ${gate} up`,
    );
    this.bridged(gate, mac);
    // With TSO a sender of TCP would pass the receiver's queue by.
    run(['ethtool', '-K', gate, 'tso', 'off']);
    const threaded = `ethtool -K ${device} gro on && echo 1 >/sys/class/net/${device}/threaded`;
    run(
      ['ip', '-n', ns, '-batch', '-'],
      [
        `addr add ${address}/16 dev ${device}`,
        `link set ${device} up`,
        `neigh add ${CLIENT.address} lladdr ${CLIENT.mac} dev ${device}`,
      ].join('\n'),
    );
    run(['ip', 'netns', 'exec', ns, 'sh', '-c', threaded]);
    run(['ip', '-n', CLIENT.ns, 'neigh', 'add', address, 'lladdr', mac, 'dev', CLIENT.device]);
    const poller = pollerOf(device);
    this.schedule(poller);
    const ifindex = indexOf(device, '-n', ns);
    return {
      ns,
      device,
      ifindex,
      mac,
      address,
      poller,
      gate: { device: gate, ifindex: indexOf(gate), mac: gateMac },
    };
  }

  /**
   * On its core, and ahead of all processes there, as soft interrupts are. In a process namespace of its
   * own, as the tests' sandbox has, other ids hold than /proc shows.
   */
  private schedule(poller: number): void {
    if (!this.mustPin && readlinkSync('/proc/self') !== String(process.pid)) return;
    run(['taskset', '-pc', String(RECEIVER_CPU), String(poller)]);
    run(['chrt', '--fifo', '-p', '1', String(poller)]);
  }

  /** Who is behind this port of the bridge is told, not learnt. */
  private bridged(gate: string, mac: string): void {
    run(['ip', 'link', 'set', gate, 'type', 'bridge_slave', 'flood', 'off', 'learning', 'off']);
    run(['bridge', 'fdb', 'replace', mac, 'dev', gate, 'master', 'static']);
  }
}
