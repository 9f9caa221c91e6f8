/** How much memory the machine uses, but for caches and for what this process has for itself. */
import { readdirSync, readFileSync } from 'node:fs';

/** proc_meminfo(5). What a filter holds in the kernel is in none of these. */
const NOT_USED = ['MemFree', 'Buffers', 'Cached', 'SReclaimable'] as const;
const KIB_PER_MIB = 1024;

export function usedMiB(): number {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1] ?? NaN);
  const used = NOT_USED.reduce((left, name) => left - kib(name), kib('MemTotal'));
  return (used - ownKib()) / KIB_PER_MIB;
}

/** proc_pid_status(5). Without what it maps of others: a map of bpf is the kernel's. */
function ownKib(): number {
  const text = readFileSync('/proc/self/status', 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(text)?.[1] ?? NaN);
}

/** Kernel memory of the bpf maps that this process holds open, each once (bpf_map_show_fdinfo). */
export function heldMapsBytes(): number {
  const maps = new Map<string, number>();
  for (const fd of readdirSync('/proc/self/fdinfo')) {
    const text = fdinfo(fd);
    const [, id] = /^map_id:\s+(\d+)$/m.exec(text) ?? [];
    const [, bytes] = /^memlock:\s+(\d+)$/m.exec(text) ?? [];
    if (id !== undefined) maps.set(id, Number(bytes));
  }
  return [...maps.values()].reduce((sum, bytes) => sum + bytes, 0);
}

function fdinfo(fd: string): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  } catch {
    return ''; // Closed between the two looks.
  }
}
