/**
 * What this kernel and this process can do, found out by doing it once in namespaces that are thrown
 * away again. Nothing of the host is touched.
 */
import { readFileSync } from 'node:fs';
import { MARK } from '../../core/model/ids';
import { prefixBytes } from '../../core/netlink/ip';
import { XDP_FLAGS } from '../../core/netlink/consts';
import { XDP_OBJECT, XDP_PROGRAM } from './filter/pins';
import { codeOf } from './errors';
import { LATENCY_OBJECT } from './latency';
import { native, type BpfLink, type BpfProgram } from './native';
import { NetNs } from './netns';
import type { Rtnl } from './rtnl';

export const FEATURES = [
  { name: 'namespaces', what: 'make and delete network namespaces (CAP_SYS_ADMIN)' },
  { name: 'veth', what: 'make veth pairs across namespaces (CAP_NET_ADMIN)' },
  { name: 'addressProtocol', what: 'mark addresses with IFA_PROTO (Linux 5.18)' },
  { name: 'bpf', what: 'load our XDP program (CAP_BPF, Linux 5.18)' },
  { name: 'xdpNative', what: 'attach XDP to a veth by bpf_link, in the driver (Linux 5.9)' },
  { name: 'xdpGeneric', what: 'attach XDP by bpf_link, for any driver (Linux 5.9)' },
  { name: 'timeForwarded', what: 'time packets to where they leave, at tcx (Linux 6.6)' },
  { name: 'timeReaders', what: 'time packets to their TCP readers, by tp_btf (Linux 6.1, BTF)' },
] as const;
export type FeatureName = (typeof FEATURES)[number]['name'];

/** Without them an edge is guarded all the same, but some of its latencies can't be told. */
const OPTIONAL: readonly FeatureName[] = ['timeForwarded', 'timeReaders'];

/** `unknown`: something it builds on is missing, so it could not be tried. */
export interface Feature {
  name: FeatureName;
  what: string;
  /** An edge is guarded all the same without it. */
  optional: boolean;
  state: 'supported' | 'unsupported' | 'unknown';
  /** What was said instead; empty where supported. */
  reason: string;
}

class Trial {
  readonly results: Feature[] = [];
  private readonly cleanUps: (() => unknown)[] = [];

  /** A probe throws what the kernel says. Null where it did, or where what it `needs` is null. */
  async run<N extends unknown[], T>(
    name: FeatureName,
    needs: { [K in keyof N]: N[K] | null },
    probe: (...needs: N) => Promise<T>,
  ): Promise<T | null> {
    const what = FEATURES.find((feature) => feature.name === name)?.what ?? '';
    const feature = { name, what, optional: OPTIONAL.includes(name) };
    if (needs.includes(null)) {
      const reason = 'not tried: what it needs is missing';
      this.results.push({ ...feature, state: 'unknown', reason });
      return null;
    }
    try {
      const result = await probe(...(needs as N));
      this.results.push({ ...feature, state: 'supported', reason: '' });
      return result;
    } catch (error) {
      const reason = `${codeOf(error)} ${(error as Error).message}`.trim();
      this.results.push({ ...feature, state: 'unsupported', reason });
      return null;
    }
  }

  later(cleanUp: () => unknown): void {
    this.cleanUps.unshift(cleanUp);
  }

  async end(): Promise<void> {
    for (const cleanUp of this.cleanUps) await cleanUp();
  }
}

/** A link to try things on. */
interface Probed {
  ns: NetNs;
  rtnl: Rtnl;
  index: number;
}

async function makeNamespace(trial: Trial, name: string): Promise<NetNs> {
  const ns = await NetNs.create(name);
  trial.later(() => ns.delete());
  return ns;
}

async function makeVeth(trial: Trial, near: NetNs, farName: string): Promise<Probed> {
  const far = await makeNamespace(trial, farName);
  const rtnl = await near.rtnl();
  await rtnl.links.addVeth({ name: 'a', peer: { name: 'b', netnsFd: far.fd } });
  const link = await rtnl.links.get({ name: 'a' });
  if (!link) throw new Error('the link that was made is not there');
  return { ns: near, rtnl, index: link.index };
}

async function markAddress({ rtnl, index }: Probed): Promise<void> {
  const address = prefixBytes('192.0.2.1/32');
  if (!address) throw new Error('unreachable: the literal is a prefix');
  await rtnl.addrs.add({ ifindex: index, address, protocol: MARK.protocol });
  const { objects } = await rtnl.addrs.list();
  if (objects[0]?.protocol !== MARK.protocol) throw new Error('the kernel ignored IFA_PROTO');
}

async function loadProgram(trial: Trial): Promise<BpfProgram> {
  const object = await native.BpfObject.load(readFileSync(XDP_OBJECT), null, null);
  const program = object.program(XDP_PROGRAM);
  trial.later(() => {
    program.close();
    object.close();
  });
  return program;
}

/** A link that nothing holds goes by itself. */
async function attachLatency(
  name: string,
  how: (program: BpfProgram) => Promise<BpfLink>,
): Promise<void> {
  const object = await native.BpfObject.load(readFileSync(LATENCY_OBJECT), null, null);
  const program = object.program(name);
  try {
    (await how(program)).close();
  } finally {
    program.close();
    object.close();
  }
}

const timeForwarded = ({ index, ns }: Probed): Promise<void> =>
  attachLatency('latency_egress', (program) =>
    native.BpfLink.attachTcx(program, index, ns.fd, 'egress'),
  );

const timeReaders = (): Promise<void> =>
  attachLatency('latency_deliver', (program) => native.BpfLink.attachTracing(program));

async function attach(link: Probed, program: BpfProgram, flags: number): Promise<void> {
  const attached = await native.BpfLink.attachXdp(program, link.index, link.ns.fd, flags);
  await attached.detach();
  attached.close();
}

/** About 50 ms. */
export async function probeFeatures(): Promise<Feature[]> {
  const trial = new Trial();
  const name = `aether-probe-${process.pid}`;
  try {
    const near = await trial.run('namespaces', [], () => makeNamespace(trial, name));
    const link = await trial.run('veth', [near], (ns: NetNs) => makeVeth(trial, ns, `${name}-far`));
    await trial.run('addressProtocol', [link], markAddress);
    const program = await trial.run('bpf', [], () => loadProgram(trial));
    const modes = { xdpNative: XDP_FLAGS.DRV_MODE, xdpGeneric: XDP_FLAGS.SKB_MODE } as const;
    for (const mode of ['xdpNative', 'xdpGeneric'] as const) {
      await trial.run(mode, [link, program], (on: Probed, what: BpfProgram) =>
        attach(on, what, modes[mode]),
      );
    }
    await trial.run('timeForwarded', [link], timeForwarded);
    await trial.run('timeReaders', [], timeReaders);
  } finally {
    await trial.end();
  }
  return trial.results;
}
