/** What the tests of labs share: whether this machine can run one, and one of its own for a file. */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdminClient } from '../adapters/admin/client';
import { NO_ROUTING, plainFilter, type NodeResource } from '../core/model/node';
import { exampleNamespace } from '../core/model/testing';
import type { NodeView } from '../core/model/views';
import { ADMIN_SOCKET } from './declare';
import { down } from './down';
import { Lab } from './lab';
import { differences } from './look';
import { paths } from './state';
import { findTool } from './tools';
import { up } from './up';
import type { UpOptions } from './up';
import { eventually } from './wait';

/** Why no lab can run here; false where one can. */
export function cannotRunLabs(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  if (findTool('etcd') === null || findTool('temporal') === null) {
    return 'needs etcd and temporal: make setup';
  }
  return false;
}

/** A node in the form of the published examples, number `index` (from 1). */
export function exampleNode(name: string, index: number): NodeResource {
  return {
    apiVersion: 'aether.dev/v1',
    kind: 'Node',
    metadata: { name, region: 'test', labels: {} },
    spec: {
      namespaces: [exampleNamespace(index)],
      filters: [plainFilter('uplink0')],
      ...NO_ROUTING,
      repair: {
        policy: 'auto',
        // A short window: what one test repeats shall not look like a fight to the next.
        budget: { attempts: 100, perMs: 2_000 },
        autonomyAfterMs: 1_000,
      },
    },
  };
}

/** Not named by pid: tests may run in pid namespaces of their own, where pids are the same. */
export const newStateDir = (): string => mkdtempSync(join(tmpdir(), 'aether-lab-'));

/** A lab with a name of its own; `end` takes it down whatever happened, and tells what it can. */
export class TestLab {
  private constructor(
    readonly lab: Lab,
    readonly nodes: readonly NodeResource[],
  ) {}

  static async up(
    nodes: readonly NodeResource[],
    options: Partial<Pick<UpOptions, 'controllers' | 'etcds'>> = {},
  ): Promise<TestLab> {
    const stateDir = newStateDir();
    try {
      const size = { controllers: 1, etcds: 1, ...options };
      return new TestLab(new Lab(await up({ name: 'test', stateDir, nodes, ...size })), nodes);
    } catch (error) {
      await down(stateDir);
      throw error;
    }
  }

  async end(): Promise<void> {
    await down(this.lab.stateDir);
  }

  /** The last lines of a process's log, for the message of a failed test. */
  logOf(process: string, lines = 15): string {
    const path = paths.log(this.lab.stateDir, process);
    if (!existsSync(path)) return `${process}: no log`;
    const text = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    return `--- ${process}\n${text}`;
  }

  /** A client of the first controller's admin API. */
  admin(): AdminClient {
    const [controller = 'ctl-1'] = this.lab.hosts('controller');
    return new AdminClient(this.lab.pathIn(controller, ADMIN_SOCKET), 'test');
  }

  async view(node: string): Promise<NodeView> {
    using admin = this.admin();
    const [view] = await admin.get(node);
    if (view === undefined) throw new Error(`the controller knows no node ${node}`);
    return view;
  }

  /** Waits until the kernel of the node is what it should be, and the control plane agrees. */
  async settled(node: NodeResource, withinMs = 20_000): Promise<NodeView> {
    const { name } = node.metadata;
    const agrees = async (): Promise<NodeView | null> => {
      const left = await differences(this.lab, node);
      if (left.length > 0) throw new Error(left.join('; '));
      const view = await this.view(name);
      if (view.phase !== 'active' || !view.converged) throw new Error(JSON.stringify(view));
      return view;
    };
    return eventually(`${name} is as it should be`, agrees, { within: withinMs, times: 2 });
  }
}
