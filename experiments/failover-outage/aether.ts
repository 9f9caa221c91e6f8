/**
 * Aether as an edge, without an agent: gobgpd, the bfd process, and the lease and the peers that an agent
 * would ask for.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GobgpClient } from '../../adapters/gobgp/client';
import type { Lease } from '../../core/announce/types';
import { needTool } from '../../lab/tools';
import { eventually } from '../../lab/wait';
import { BfdWorker, end, plainLease, plainSession } from '../common/bfd';

export interface AetherConfig {
  asn: number;
  routerId: string;
  neighbor: { address: string; asn: number };
  bfd: { intervalMs: number; multiplier: number };
  prefix: string;
  prepend: number;
}

const HOLD_TIME_S = 9;
const READY_WITHIN_MS = 20_000;

const leaseOf = ({ asn, neighbor, bfd, prefix, prepend }: AetherConfig): Lease =>
  plainLease(asn, {
    paths: [
      {
        prefix,
        service: 'probe',
        stance: 'announce',
        communities: [],
        prepend,
        onExpiry: 'withdraw',
      },
    ],
    sessions: [plainSession(neighbor.address, bfd, { bgp: true })],
  });

export class AetherEdge {
  private readonly directory = mkdtempSync(join(tmpdir(), 'aether-fo-'));
  private readonly socket = join(this.directory, 'gobgp.sock');
  private readonly gobgp = new GobgpClient(this.socket);
  private readonly gobgpd: ChildProcess;
  readonly bfd: BfdWorker;

  private constructor(
    private readonly config: AetherConfig,
    namespace: string,
  ) {
    const argv = [
      'netns',
      'exec',
      namespace,
      needTool('gobgpd'),
      `--api-hosts=unix://${this.socket}`,
    ];
    this.gobgpd = spawn('ip', [...argv, '--pprof-disable', '--metrics-path='], { stdio: 'ignore' });
    this.bfd = new BfdWorker(namespace, this.socket);
  }

  static async start(config: AetherConfig, namespace: string): Promise<AetherEdge> {
    const edge = new AetherEdge(config, namespace);
    try {
      await edge.configure();
      edge.bfd.lease(leaseOf(config));
      return edge;
    } catch (error) {
      await edge.stop();
      throw error;
    }
  }

  private async configure(): Promise<void> {
    const { asn, routerId, neighbor, prefix } = this.config;
    const start = async (): Promise<true> => {
      if ((await this.gobgp.global()) === null) {
        await this.gobgp.start({ asn, routerId, listenPort: 179 });
      }
      return true;
    };
    await eventually('gobgpd runs', start, { within: READY_WITHIN_MS });
    await this.gobgp.setPolicies({ exportPrefixes: [prefix], importPrefixes: [], held: null });
    await this.gobgp.addPeer({
      ...neighbor,
      password: '',
      ttlSecurity: false,
      multihop: null,
      holdTimeS: HOLD_TIME_S,
      maxPrefixes: 1_000,
    });
  }

  async stop(): Promise<void> {
    this.gobgp.close();
    await Promise.all([this.bfd.stop(), end(this.gobgpd, 'SIGKILL')]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
