/**
 * A lab host: a process that does nothing but hold a network, a mount and a UTS namespace open.
 * `/run`, `/sys` and the bpf file system are the host's own and end with its last process, and with
 * them every named namespace and every pin: there is nothing that `lab down` could forget.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { HOST_VARIABLE, MARK_VARIABLE, identify } from './identity';
import type { ProcessIdentity } from './identity';

const FURNISH = `set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns /run/aether
mount -t sysfs sysfs /sys
mount -t bpf bpf /sys/fs/bpf
hostname "$${HOST_VARIABLE}"
ip link set lo up
cd /proc/sys/net
echo 1 | tee ipv4/ip_forward ipv6/conf/all/forwarding >/dev/null
echo 0 | tee ipv6/conf/all/accept_dad ipv6/conf/default/accept_dad >/dev/null
echo 0 | tee ipv4/conf/all/rp_filter ipv4/conf/default/rp_filter >/dev/null
cd /
echo ready
exec sleep infinity`;

/** Variables by which the processes of a host are recognised. */
export const hostEnvironment = (mark: string, host: string): Record<string, string> => ({
  [MARK_VARIABLE]: mark,
  [HOST_VARIABLE]: host,
});

/** Whatever the caller's PATH is (sudo resets it), the tools of the host are found. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Starts the holder of a host; resolves when its namespaces are furnished. */
export async function startHost(mark: string, name: string): Promise<ProcessIdentity> {
  const child = spawn(
    'unshare',
    ['--net', '--mount', '--uts', '--propagation', 'private', '--', 'sh', '-c', FURNISH],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: SYSTEM_PATH, ...hostEnvironment(mark, name) },
    },
  );
  const output = await firstOutput(child);
  const identity = child.pid === undefined ? null : identify(child.pid);
  if (!output.includes('ready') || identity === null) {
    throw new Error(
      `Could not make the host ${name}: ${output.trim() || 'unshare failed'}. ` +
        'A lab needs root (CAP_SYS_ADMIN), util-linux and iproute2; `aether doctor` says what is missing.',
    );
  }
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.unref();
  return identity;
}

function firstOutput(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (chunk: Buffer): void => {
      text += chunk.toString();
      if (text.includes('ready')) resolve(text);
    };
    child.stdout?.on('data', onData);
    child.stderr?.on('data', onData);
    child.once('error', reject);
    child.once('exit', () => {
      resolve(text);
    });
  });
}

/** Command line that runs `argv` in the namespaces of the host held by `holder`. */
export const inHost = (holder: ProcessIdentity, argv: readonly string[]): string[] => [
  'nsenter',
  `--target=${holder.pid}`,
  '--net',
  '--mount',
  '--uts',
  '--',
  ...argv,
];
