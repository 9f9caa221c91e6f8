/** For tests: a gobgpd in this network namespace, and BIRD beside it in one of its own. Real ones. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { ip, uniqueName } from '../native/test-support';
import { until } from '../testing/until';

const GOBGPD = resolve(__dirname, '../../../.tools/bin/gobgpd');
const GOBGP = resolve(__dirname, '../../../.tools/bin/gobgp');

export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bgp-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Ends with the test, whatever it was doing. */
export function daemon(t: TestContext, command: string, args: string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-20_000)));
  }
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    if (process.env['SHOW'] !== undefined) process.stderr.write(`--- ${command}\n${said}\n`);
  });
  return child;
}

export class Gobgpd {
  readonly socket: string;
  private child: ChildProcess | null = null;

  constructor(
    private readonly t: TestContext,
    directory: string = temporaryDirectory(t),
  ) {
    this.socket = join(directory, 'gobgp.sock');
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** `wrapper`: a command that runs it, such as setpriv. */
  start(...wrapper: string[]): this {
    // A socket that is left over would be taken for one in use.
    rmSync(this.socket, { force: true });
    const [command = GOBGPD, ...args] = wrapper.length > 0 ? [...wrapper, GOBGPD] : [];
    this.child = daemon(this.t, command, [
      ...args,
      `--api-hosts=unix://${this.socket}`,
      '--pprof-disable',
      '--metrics-path=',
      ...(process.env['SHOW'] === undefined ? [] : ['--log-level=debug']),
    ]);
    return this;
  }

  /** As a person at its command line. */
  cli(...args: string[]): string {
    const target = ['--target', `unix://${this.socket}`];
    return execFileSync(GOBGP, [...target, ...args], { encoding: 'utf8' });
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (child === null) return;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}

export interface Link {
  /** Of this side, and of the router. */
  name: string;
  here: { v4: string; v6: string };
  there: { v4: string; v6: string };
}

/** A namespace with a router in it, linked to this one by a veth pair: .1 is here, .2 there. */
export class RouterHost {
  readonly namespace = uniqueName('rt');
  readonly link: Link;
  readonly directory: string;

  constructor(
    readonly t: TestContext,
    readonly number: number,
  ) {
    const name = uniqueName('up');
    this.link = {
      name,
      here: { v4: `10.99.${number}.1`, v6: `fd99:${number}::1` },
      there: { v4: `10.99.${number}.2`, v6: `fd99:${number}::2` },
    };
    this.directory = temporaryDirectory(t);
    ip('netns', 'add', this.namespace);
    t.after(() => {
      // A namespace's links go some time after it; this address is needed by the next test.
      ip('link', 'del', name);
      ip('netns', 'del', this.namespace);
    });
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.namespace);
    ip('addr', 'add', `${this.link.here.v4}/24`, 'dev', name);
    ip('addr', 'add', `${this.link.here.v6}/64`, 'dev', name, 'nodad');
    ip('link', 'set', name, 'up');
    ip('link', 'set', 'lo', 'up');
    this.ip('addr', 'add', `${this.link.there.v4}/24`, 'dev', 'eth0');
    this.ip('addr', 'add', `${this.link.there.v6}/64`, 'dev', 'eth0', 'nodad');
    this.ip('link', 'set', 'eth0', 'up');
    this.ip('link', 'set', 'lo', 'up');
  }

  ip(...args: string[]): string {
    return ip('-n', this.namespace, ...args);
  }

  exec(command: string, ...args: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.namespace, command, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  daemon(command: string, ...args: string[]): ChildProcess {
    return daemon(this.t, 'ip', ['netns', 'exec', this.namespace, command, ...args]);
  }
}

export interface BirdSession {
  since: string;
  state: string;
  info: string;
}

export class Bird {
  private readonly control: string;
  private readonly configuration: string;

  constructor(readonly host: RouterHost) {
    this.control = join(host.directory, 'bird.ctl');
    this.configuration = join(host.directory, 'bird.conf');
  }

  async start(configuration: string): Promise<this> {
    this.write(configuration);
    this.host.daemon('/usr/sbin/bird', '-f', '-c', this.configuration, '-s', this.control);
    await until('BIRD answers', () => this.tryAsk('show status')?.includes('up and running'));
    return this;
  }

  reconfigure(configuration: string): void {
    this.write(configuration);
    this.ask('configure');
  }

  ask(...command: string[]): string {
    return execFileSync('/usr/sbin/birdc', ['-s', this.control, ...command], { encoding: 'utf8' });
  }

  session(name: string): BirdSession {
    const line = this.ask('show', 'protocols', `"${name}"`)
      .split('\n')
      .find((row) => row.startsWith(name));
    const [, , , state = '', since = '', ...info] = (line ?? '').split(/\s+/);
    return { state, since, info: info.join(' ').trim() };
  }

  /** `show route` of one table: prefix → its text with attributes. */
  routes(protocol: string): Map<string, string> {
    const text = this.ask('show', 'route', 'all', 'protocol', protocol);
    const routes = new Map<string, string>();
    let prefix = '';
    for (const line of text.split('\n')) {
      const found = /^([0-9a-f:.]+\/\d+)\s/.exec(line)?.[1];
      if (found !== undefined) prefix = found;
      if (prefix !== '') routes.set(prefix, `${routes.get(prefix) ?? ''}${line}\n`);
    }
    return routes;
  }

  private tryAsk(command: string): string | null {
    try {
      return this.ask(command);
    } catch {
      return null;
    }
  }

  private write(configuration: string): void {
    const head = 'router id 10.99.0.2;\nlog stderr all;\nprotocol device { scan time 1; }\n';
    writeFileSync(this.configuration, head + configuration);
  }
}

/** A BGP protocol of BIRD towards us, quick to come back (facts of the upstream, docs/runbooks). */
export function birdBgp(
  name: string,
  { link }: RouterHost,
  options: { v6?: boolean; asn?: number; localAsn?: number; extra?: string; export?: string } = {},
): string {
  const {
    v6 = false,
    asn = 65001,
    localAsn = 65010,
    extra = '',
    export: exported = 'none',
  } = options;
  const version = v6 ? 'v6' : 'v4';
  return `
protocol bgp ${name} {
  local ${link.there[version]} as ${localAsn};
  neighbor ${link.here[version]} as ${asn};
  connect delay time 1; error wait time 1, 30; connect retry time 2;
  ${extra}
  ipv${v6 ? 6 : 4} { import all; export ${exported}; };
}
`;
}
