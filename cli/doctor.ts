/** The checks of `aether doctor`: what this machine has, what it lacks, what to do about it. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { BFD_SOCKET, EDGE_SOCKET, GOBGP_SOCKET } from '../lab/declare';
import { accepts } from '../lab/health';
import { run } from '../lab/run';
import { ROOT, findTool } from '../lab/tools';
import type { Tool } from '../lab/tools';
import type { Environment } from './cli';

export interface Check {
  group: 'machine' | 'build' | 'servers' | 'edge';
  what: string;
  /** `absent`: missing, but nothing here needs it. */
  state: 'ok' | 'missing' | 'absent';
  found: string;
  /** What to do; null where nothing is to be done. */
  todo: string | null;
}

type Found = Pick<Check, 'state' | 'found' | 'todo'>;

const ok = (found: string): Found => ({ state: 'ok', found, todo: null });
const missing = (found: string, todo: string): Found => ({ state: 'missing', found, todo });

/** Numbers of a dotted version, compared part by part. */
function atLeast(version: string, least: readonly number[]): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [i, wanted] of least.entries()) {
    const part = parts[i] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

function node(): Found {
  const { node: version } = process.versions;
  return atLeast(version, [20, 3])
    ? ok(version)
    : missing(version, 'Install Node.js 20.3 or newer from https://nodejs.org');
}

/** XDP by bpf_link came with 5.9, IFA_PROTO (our mark on addresses) with 5.18. */
function kernel(): Found {
  const version = release();
  return atLeast(version, [5, 18])
    ? ok(version)
    : missing(
        version,
        'Boot a kernel from 5.18 on: it is the first that can mark addresses as ours',
      );
}

/** What the agent asks of the kernel, tried for real by the addon; nothing while it is not built. */
async function features(): Promise<Check[]> {
  try {
    const { probeFeatures } = await import('../adapters/native/features');
    return (await probeFeatures()).map(({ what, optional, state, reason }) => ({
      group: 'machine',
      what,
      ...featureFound(state === 'supported', optional, reason),
    }));
  } catch (error) {
    const what = 'kernel features';
    return [{ group: 'machine', what, ...missing((error as Error).message, 'make setup') }];
  }
}

function featureFound(supported: boolean, optional: boolean, reason: string): Found {
  if (supported) return ok('works');
  const todo = 'Boot a kernel that has it, and run doctor as root';
  return optional ? { state: 'absent', found: reason, todo } : missing(reason, todo);
}

/** Bits of include/uapi/linux/capability.h; before 5.8 SYS_ADMIN stood for BPF. */
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21, CAP_BPF: 39 };

function privileges(): Found {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const lacking = Object.entries(CAPABILITIES).flatMap(([name, bit]) =>
    (effective >> BigInt(bit)) & 1n ? [] : [name],
  );
  return lacking.length === 0
    ? ok(Object.keys(CAPABILITIES).join(', '))
    : missing(`no ${lacking.join(', ')}`, 'Run it with sudo; agent and lab need these');
}

/** Tries the real thing in a network namespace that ends with the command. */
async function bridge(): Promise<Found> {
  const argv = ['unshare', '--net', 'ip', 'link', 'add', 'probe0', 'type', 'bridge'];
  const todo = 'The kernel needs bridge: `modprobe bridge`, or a kernel that has it';
  try {
    const { code, stderr } = await run(argv);
    return code === 0 ? ok('works') : missing(stderr.trim().split('\n')[0] ?? 'fails', todo);
  } catch (error) {
    return missing((error as Error).message, 'Install util-linux (unshare) and iproute2 (ip)');
  }
}

function bpffs(): Found {
  return /\tbpf$/m.test(readFileSync('/proc/filesystems', 'utf8'))
    ? ok('supported')
    : missing('not in /proc/filesystems', 'The kernel needs CONFIG_BPF_SYSCALL');
}

async function command(name: string, apt: string, args = ['-V']): Promise<Found> {
  try {
    const { stdout, stderr } = await run([name, ...args]);
    return ok((stdout || stderr).trim().split('\n')[0] ?? '');
  } catch {
    return missing('not found', `apt-get install ${apt}`);
  }
}

/** Neither is in the PATH of everybody. */
const ROUTERS = { bird: '/usr/sbin/bird', frr: '/usr/lib/frr/bgpd' };

/** The lab's upstreams; installed by the set-up, which sees to it that no daemon of theirs is left running. */
async function router(path: string): Promise<Found> {
  const found = await command(path, '', ['--version']);
  return found.state === 'ok' ? found : missing('not found', 'sudo make setup');
}

const built = (path: string): Found =>
  existsSync(join(ROOT, path)) ? ok(path) : missing('not built', 'make setup');

async function server(tool: Tool, directory: string | undefined): Promise<Found> {
  const path = findTool(tool, directory);
  if (path === null) return missing('not built', 'make setup (it needs Go 1.24 or newer)');
  const { stdout } = await run([path, '--version']);
  return ok(stdout.trim().split('\n')[0] ?? path);
}

/** Processes of an edge host, by the socket that each serves. */
const OF_EDGES = [
  ['agent', 'aether-edge', 'AETHER_EDGE_SOCKET', EDGE_SOCKET],
  ['BFD', 'aether-bfd', 'AETHER_BFD_SOCKET', BFD_SOCKET],
  ['BGP', 'aether-gobgpd', 'AETHER_GOBGP_SOCKET', GOBGP_SOCKET],
] as const;

/** Whether somebody accepts there; a host that is no edge has none of them. */
async function lookAt(unit: string, path: string): Promise<Found> {
  try {
    await accepts(path);
    return ok(`accepts on ${path}`);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const absent = (found: string, todo: string): Found => ({ state: 'absent', found, todo });
    if (code === 'EACCES') return absent(`${path} is not ours to open`, 'Run doctor with sudo');
    const todo = `systemctl status ${unit}`;
    return code === 'ENOENT'
      ? absent('none here', `On an edge host: ${todo}`)
      : missing(`nobody accepts on ${path} (${code})`, todo);
  }
}

export async function examine(env: Environment): Promise<Check[]> {
  const toolsDirectory = env['AETHER_TOOLS_DIR'];
  const checks: [Check['group'], string, Found | Promise<Found>][] = [
    ['machine', 'Node.js', node()],
    ['machine', 'kernel', kernel()],
    ['machine', 'privileges', privileges()],
    ['machine', 'bridge (for the lab)', bridge()],
    ['machine', 'bpf file system', bpffs()],
    ['machine', 'ip', command('ip', 'iproute2')],
    ['machine', 'nsenter', command('nsenter', 'util-linux')],
    ['machine', 'BIRD (for the lab)', router(ROUTERS.bird)],
    ['machine', 'FRR (for the lab)', router(ROUTERS.frr)],
    ['build', 'native addon', built('native/build/Release/aether_native.node')],
    ['build', 'XDP program', built('bpf/build/xdp_root.bpf.o')],
    ['build', 'workflow bundle', built('dist/workflow-bundle.js')],
    ['servers', 'etcd', server('etcd', toolsDirectory)],
    ['servers', 'temporal', server('temporal', toolsDirectory)],
    ['servers', 'gobgpd', server('gobgpd', toolsDirectory)],
    ...OF_EDGES.map(([what, unit, variable, path]): [Check['group'], string, Promise<Found>] => [
      'edge',
      `${what} of this host`,
      lookAt(unit, env[variable] ?? path),
    ]),
  ];
  const [rest, tried] = await Promise.all([
    Promise.all(checks.map(async ([group, what, found]) => ({ group, what, ...(await found) }))),
    features(),
  ]);
  return rest.flatMap((check) => (check.what === 'privileges' ? [check, ...tried] : [check]));
}
