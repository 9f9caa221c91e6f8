/** xdp-filter of xdp-tools, by source address; its map is filled by batches, as it has no such command. */
import { renameSync } from 'node:fs';
import { native } from '../../../adapters/native/native';
import { has, run } from '../commands';
import { inside } from '../topology';
import type { Filter } from './filter';

const PINS = '/sys/fs/bpf/xdp-filter';
/** xdp-filter's common_kern_user.h: MAP_FLAG_SRC. */
const MATCH_SOURCE = 1n;

export const XDP_FILTER: Filter = {
  name: 'xdp-filter',
  list: 'hosts',
  entries: [1, 1_000, 10_000],
  kinds: ['drop', 'pass'],
  limit: 'its map is compiled for 10,000 addresses',
  missing: () => (has('xdp-filter') ? null : 'xdp-filter is not installed (xdp-tools)'),
  version: () => `xdp-tools ${run(['dpkg-query', '-W', '-f', '${Version}', 'xdp-tools'])}`,
  load: async (receiver, { list }) => {
    const began = performance.now();
    const cpu = process.cpuUsage();
    // Without its dispatcher, which would cost it a call more; `-p allow`: what is not listed passes.
    const load = [
      'xdp-filter',
      'load',
      receiver.device,
      '-m',
      'native',
      '-f',
      'ipv4',
      '-p',
      'allow',
    ];
    run(inside(receiver.ns, 'env', 'LIBXDP_SKIP_DISPATCHER=1', ...load));
    const map = native.BpfMap.open(`${PINS}/filter_ipv4`);
    const { addresses } = list.prefixes;
    const keys = Buffer.alloc(4 * addresses.length);
    addresses.forEach((address, i) => keys.writeUInt32BE(address, 4 * i));
    const values = new BigUint64Array((addresses.length * map.info.valueSize) / 8).fill(
      MATCH_SOURCE,
    );
    await map.updateBatch(keys, new Uint8Array(values.buffer), addresses.length);
    const claimedBytes = map.memlockBytes();
    map.close();
    // Its pins have one place, which the next one must find empty.
    renameSync(PINS, `${PINS}-${receiver.ns}`);
    const { user, system } = process.cpuUsage(cpu);
    return { wallS: (performance.now() - began) / 1000, cpuS: (user + system) / 1e6, claimedBytes };
  },
};
