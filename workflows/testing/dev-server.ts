/** A Temporal dev server of a test's own: tuned as in the lab, on a free port, gone with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../core/model/ids';
import { temporalArguments } from '../../lab/temporal-server';
import { findTool } from '../../lab/tools';
import { until } from './until';

const tools = process.env['AETHER_TOOLS_DIR'];
export const temporalBinary = findTool(
  'temporal',
  tools === undefined ? undefined : resolve(tools),
);

/** For `test(name, { skip })`: the reason, or false. */
export const withoutTemporal =
  temporalBinary === null ? 'no temporal server: run make setup' : false;

export class DevServer {
  private constructor(
    readonly address: string,
    private readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  /** `extra`: further dynamic configuration, `KEY=VALUE` with a JSON value. */
  static async start(extra: string[] = []): Promise<DevServer> {
    if (temporalBinary === null) throw new Error(String(withoutTemporal));
    const directory = mkdtempSync(join(tmpdir(), `aether-temporal-${process.pid}-`));
    const [port, uiPort] = await freePorts();
    const database = join(directory, 'temporal.db');
    const server = temporalArguments({
      binary: temporalBinary,
      address: '127.0.0.1',
      port,
      uiPort,
      database,
    });
    const [command, ...args] = [
      // It dies with the test, however that ends.
      ...['setpriv', '--pdeathsig', 'KILL', '--'],
      ...server,
      '--headless',
      ...SEARCH_ATTRIBUTES.map((name) => `--search-attribute=${name}=Keyword`),
      ...extra.map((value) => `--dynamic-config-value=${value}`),
    ] as [string, ...string[]];
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    const started = new DevServer(`127.0.0.1:${port}`, child, directory);
    await started.serving().catch(async (error: unknown) => {
      await started.stop();
      throw error;
    });
    return started;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, 'exit');
      this.child.kill('SIGTERM');
      const hard = setTimeout(() => this.child.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(hard);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async serving(): Promise<void> {
    const { address } = this;
    await until(
      `Temporal serves on ${address}`,
      async () => {
        if (this.child.exitCode !== null) throw new Error('the Temporal server ended');
        const connection = await Connection.connect({ address }).catch(() => null);
        if (connection === null) return false;
        const namespace = 'default';
        const ready = await connection.workflowService.describeNamespace({ namespace }).then(
          () => true,
          () => false,
        );
        await connection.close();
        return ready;
      },
      30_000,
    );
  }
}

async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ports.push((server.address() as AddressInfo).port);
  }
  for (const server of servers) server.close();
  return ports as [number, number];
}
