/** Nothing, and programs that know no list. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NetNs } from '../../../adapters/native/netns';
import { native } from '../../../adapters/native/native';
import type { Receiver } from '../topology';
import type { Filter, Kind, Loaded } from './filter';

const OBJECT = join(__dirname, '../../../../bpf/build/experiments/filter-audit/bpf/bare.bpf.o');
const IN_DRIVER = 4; // XDP_FLAGS_DRV_MODE
const NO_TIME: Loaded = { wallS: 0, cpuS: 0, claimedBytes: null };

/** Attached until this process ends: its link is held by nothing else. */
async function attach(program: string, receiver: Receiver): Promise<Loaded> {
  const object = await native.BpfObject.load(readFileSync(OBJECT), null, null);
  const ns = NetNs.open(receiver.ns);
  try {
    held.push(
      await native.BpfLink.attachXdp(object.program(program), receiver.ifindex, ns.fd, IN_DRIVER),
    );
    return NO_TIME;
  } finally {
    ns.close();
    object.close();
  }
}
const held: unknown[] = [];

const bare = (name: string, kind: Kind, program: string | null): Filter => ({
  name,
  list: null,
  entries: [0],
  kinds: [kind],
  limit: null,
  missing: () => null,
  version: () => null,
  load: async (receiver) => (program === null ? NO_TIME : attach(program, receiver)),
});

export const NOTHING = bare('nothing', 'pass', null);
export const XDP_DROP = bare('bare XDP_DROP', 'drop', 'bare_drop');
/** The base of the ratios. */
export const COUNT_DROP = bare('bare parse+count+drop', 'drop', 'count_drop');
export const COUNT_PASS = bare('bare parse+count+pass', 'pass', 'count_pass');
