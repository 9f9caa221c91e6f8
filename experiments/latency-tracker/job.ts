/**
 * The tracker off and on in turns on a host that forwards, see README.md. Runs in a sandbox and prints
 * the figures as one line of JSON.
 *
 * usage: job.js full|smoke
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FilterEngine } from '../../adapters/native/filter/engine';
import { LatencyTracker } from '../../adapters/native/latency';
import { native } from '../../adapters/native/native';
import { Forwarding } from '../../adapters/native/testing/forwarding';
import { quantile as ofHistogram } from '../../core/latency/histogram';
import type { Figure } from '../common/figures';

const SIZES = {
  full: { rounds: 11, packets: 512, megabytes: 300, pours: 7, talks: 5, messages: 150 },
  smoke: { rounds: 1, packets: 100, megabytes: 20, pours: 1, talks: 1, messages: 40 },
};
type Sizes = (typeof SIZES)['full'];

/** One in four of them has the filter timed, too. */
const FLOWS = 64;
const MSS_BYTES = 1448;
const MIN_FRAME_BYTES = 64;
/** Too short for latency_bucket_of, which then returns at once. */
const ETHERNET_BYTES = 14;
const BARE_RUNS = 100_000;
const CONNECTIONS = 8;
/** A reader that lets its messages wait: what P99 is made of. */
const READER_WAITS_US = 60_000;
const ARRIVAL_MS = 10_000;
/** Of 256 places; other packets take some, too. */
const BURST = 2 * FLOWS;
const NO_FLOW = 2 ** 32;
const P99 = 0.99;

type Mode = 'off' | 'unchosen' | 'chosen';
const ONE_FLOW_IN: Record<Mode, number | null> = { off: null, unchosen: NO_FLOW, chosen: 1 };
const MODES: readonly Mode[] = ['off', 'unchosen', 'chosen'];

/** What the kernel says of a program's runs while kernel.bpf_stats_enabled. */
interface Runs {
  count: number;
  ns: number;
}

function runsOf(programId: number): Runs {
  const program = native.BpfProgram.openById(programId);
  const { runCount, runTimeNs } = program.info;
  program.close();
  return { count: runCount, ns: runTimeNs };
}

function programOf(pin: string): number {
  const link = native.BpfLink.open(`/sys/fs/bpf/${pin}`);
  const { programId } = link.info;
  link.close();
  return programId;
}

/** ns a packet, clocked alike in all modes; `egress` 0: no program is there. */
interface PacketNs {
  root: number;
  egress: number;
}

/** Whether the kernel clocks its programs. Of the whole machine. */
const clockPrograms = (on: boolean): void =>
  writeFileSync('/proc/sys/kernel/bpf_stats_enabled', on ? '1' : '0');

/** ns of the tc program for a packet without a stamp, less a turn of the loop that does nothing. */
async function bareEgressNs(): Promise<number> {
  clockPrograms(false);
  const elf = readFileSync(join(__dirname, '../../../bpf/build/latency.bpf.o'));
  const object = await native.BpfObject.load(elf, null, null);
  const turn = (name: string, bytes: number): number => {
    const program = object.program(name);
    const { durationNs } = program.testRun(Buffer.alloc(bytes), BARE_RUNS);
    program.close();
    return durationNs;
  };
  const bare = turn('latency_egress', MIN_FRAME_BYTES) - turn('latency_bucket_of', ETHERNET_BYTES);
  object.close();
  clockPrograms(true);
  return bare;
}

class Bench {
  private readonly tracker = new LatencyTracker();

  constructor(private readonly net: Forwarding) {}

  async switch(mode: Mode): Promise<void> {
    const oneFlowIn = ONE_FLOW_IN[mode];
    await this.net.track(oneFlowIn);
    await this.tracker.remove();
    if (oneFlowIn !== null) await this.tracker.ensure(this.net.wish(oneFlowIn));
  }

  /** ns that the programs of a forwarded packet took, as the kernel's own clocks have it. */
  async packetNs(mode: Mode, packets: number): Promise<PacketNs> {
    await this.switch(mode);
    const { near, far } = this.net;
    const root = this.clocked(`aether/${near}/link`);
    const egress = mode === 'off' ? null : this.clocked(`aether-latency/egress-${far}`);
    const sent = await this.send(packets);
    return { root: root(sent), egress: egress?.(sent) ?? 0 };
  }

  /** ns that the program at the TCP readers took for each MSS of what they have read. */
  async segmentNs(megabytes: number): Promise<number> {
    await this.switch('chosen');
    const id = programOf('aether-latency/tcp');
    const before = runsOf(id);
    await this.net.pour(megabytes);
    return (runsOf(id).ns - before.ns) / ((megabytes * 1e6) / MSS_BYTES);
  }

  async pourSeconds(mode: Mode, megabytes: number): Promise<number> {
    await this.switch(mode);
    return await this.net.pour(megabytes);
  }

  /** By how many percent the histogram's P99 is off the readers' own. */
  async deviation(messages: number): Promise<number> {
    await this.switch('chosen');
    const seen = (await this.net.converse(CONNECTIONS, messages, READER_WAITS_US)).sort(
      (a, b) => a - b,
    );
    const truth = seen[Math.ceil(P99 * seen.length) - 1] ?? NaN;
    const told = ofHistogram(this.tracker.tcp(), P99)?.ns ?? NaN;
    return (Math.abs(told - truth) / truth) * 100;
  }

  async end(): Promise<void> {
    await this.tracker.remove();
    await this.net.down();
  }

  /** From now on; asked again, ns a run. */
  private clocked(pin: string): (atLeast: number) => number {
    const id = programOf(pin);
    const before = runsOf(id);
    return (atLeast) => {
      const { count, ns } = runsOf(id);
      if (count - before.count < atLeast) throw new Error(`${pin} saw too few packets`);
      return (ns - before.ns) / (count - before.count);
    };
  }

  /** In bursts, each flat out and no longer than the ring of a veth takes; how many were sent. */
  private async send(packets: number): Promise<number> {
    let sent = 0;
    for (; sent < packets; sent += BURST) {
      const before = this.net.arrived();
      await this.net.sendUdp(FLOWS, BURST / FLOWS, 0);
      const end = performance.now() + ARRIVAL_MS;
      while (this.net.arrived() - before < BURST) {
        if (performance.now() > end) throw new Error('packets were lost');
      }
    }
    return sent;
  }
}

async function costs(bench: Bench, { rounds, packets }: Sizes): Promise<Figure[]> {
  const chosen: number[] = [];
  const unchosen: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const taken: Partial<Record<Mode, PacketNs>> = {};
    for (let i = 0; i < MODES.length; i++) {
      const mode = MODES[(round + i) % MODES.length] ?? 'off';
      taken[mode] = await bench.packetNs(mode, packets * FLOWS);
    }
    const { off, unchosen: plain, chosen: tracked } = taken;
    if (round === 0 || !off || !plain || !tracked) continue; // the first warms up
    const bare = await bareEgressNs();
    unchosen.push(plain.root - off.root + bare);
    chosen.push(tracked.root - off.root + tracked.egress - plain.egress + bare);
  }
  return [
    figure(
      'Forwarded packet of a tracked flow: what its clocks and histograms cost',
      130,
      'ns',
      chosen,
    ),
    figure(
      'Forwarded packet of a flow that is not chosen: what the tracker costs it',
      25,
      'ns',
      unchosen,
    ),
  ];
}

const figure = (claim: string, atMost: number, unit: string, samples: number[]): Figure => ({
  claim,
  unit,
  bar: { measure: 'median', atMost },
  samples,
  peer: null,
});

async function throughput(bench: Bench, { pours, megabytes }: Sizes): Promise<Figure> {
  const ours: number[] = [];
  const off: number[] = [];
  for (let round = 0; round <= pours; round++) {
    const turn: Mode[] = round % 2 === 0 ? ['chosen', 'off'] : ['off', 'chosen'];
    for (const mode of turn) {
      const seconds = await bench.pourSeconds(mode, megabytes);
      if (round > 0) (mode === 'off' ? off : ours).push(seconds);
    }
  }
  return {
    claim: `${megabytes} MB through one forwarded TCP connection of a tracked flow: time`,
    unit: 's',
    bar: { measure: 'ratio', atMost: 1.1 },
    samples: ours,
    peer: { name: 'tracker off', samples: off },
  };
}

async function series(times: number, take: () => Promise<number>): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < times; i++) samples.push(await take());
  return samples;
}

async function main([form]: readonly string[]): Promise<void> {
  const sizes = form === 'full' ? SIZES.full : SIZES.smoke;
  const filters = await FilterEngine.open();
  const bench = new Bench(await Forwarding.up(filters, 'lat'));
  try {
    clockPrograms(true);
    const figures = [
      ...(await costs(bench, sizes)),
      figure(
        `TCP segment of ${MSS_BYTES} bytes of a tracked flow, in bulk: what timing its reader costs`,
        130,
        'ns',
        await series(sizes.pours, () => bench.segmentNs(sizes.megabytes)),
      ),
      await throughput(bench, sizes),
      {
        ...figure('P99 of TCP delivery: off from what the readers see', 5, '%', []),
        bar: { measure: 'max' as const, atMost: 5 },
        samples: await series(sizes.talks, () => bench.deviation(sizes.messages)),
      },
    ];
    console.log(JSON.stringify(figures));
  } finally {
    await bench.end();
    filters.close();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
