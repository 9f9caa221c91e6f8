/** On what, with what, and under which settings it was measured. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { machine } from '../common/machine';
import type { Environment } from './evidence';
import type { Filter } from './filters/filter';

const SETTINGS = {
  'BPF JIT': '/proc/sys/net/core/bpf_jit_enable',
  'branch speculation': '/sys/devices/system/cpu/vulnerabilities/spectre_v2',
  'clock source': '/sys/devices/system/clocksource/clocksource0/current_clocksource',
  'frequency governor': '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor',
} as const;

const ROOT = join(__dirname, '../../..');
const SOURCES = ['bpf/xdp_root.bpf.c', 'bpf/include', 'experiments/filter-audit/bpf'];

/**
 * SHA-256 over the sources of what is measured and of what it is measured with: figures of another
 * program are no evidence for this one. Not over the object, which another compiler makes another.
 */
export function programDigest(): string {
  const hash = createHash('sha256');
  for (const source of SOURCES) {
    const files = source.endsWith('.c')
      ? [source]
      : readdirSync(join(ROOT, source)).map((file) => join(source, file));
    for (const file of files.filter((name) => /\.[ch]$/.test(name)).sort()) {
      hash.update(file).update(readFileSync(join(ROOT, file)));
    }
  }
  return hash.digest('hex');
}

export function environment(filters: readonly Filter[]): Environment {
  const versions = filters.flatMap(({ name, missing, version }) => {
    const told = missing() === null ? version() : null;
    return told === null ? [] : [[name, told] as const];
  });
  const settings = Object.entries(SETTINGS).filter(([, path]) => existsSync(path));
  return {
    machine: machine(),
    driver: 'veth, native mode, one queue',
    versions: Object.fromEntries(versions),
    program: programDigest(),
    settings: Object.fromEntries(
      settings.map(([name, path]) => [name, readFileSync(path, 'utf8').trim()]),
    ),
  };
}
