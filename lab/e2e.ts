/** What the end-to-end tests ask of a lab that has its nodes onboarded. */
import assert from 'node:assert/strict';
import type { RepairRecord } from '../core/model/messages';
import type { NodeResource } from '../core/model/node';
import type { Fault } from './faults';
import { TestLab } from './testing';
import { eventually } from './wait';

/** Things on a host that nobody of ours made, and a text by which any change to them shows. */
const FOREIGN = [
  ['ip', 'link', 'add', 'foreign0', 'type', 'veth', 'peer', 'name', 'foreign1'],
  ['ip', 'address', 'add', '192.0.2.1/24', 'dev', 'foreign0'],
  ['ip', 'link', 'set', 'foreign1', 'up'],
  ['ip', 'link', 'set', 'foreign0', 'up'],
  ['ip', 'route', 'add', '203.0.113.0/24', 'via', '192.0.2.2'],
  ['ip', 'netns', 'add', 'foreign'],
  ['ip', '-n', 'foreign', 'link', 'set', 'lo', 'up'],
];

export class World {
  private readonly foreign = new Map<string, string>();

  private constructor(readonly under: TestLab) {}

  /** A lab with every node active, and something foreign on each of its hosts. */
  static async make(
    nodes: readonly NodeResource[],
    options: Parameters<typeof TestLab.up>[1] = {},
  ): Promise<World> {
    const world = new World(await TestLab.up(nodes, options));
    try {
      for (const { metadata } of nodes) {
        for (const argv of FOREIGN) await world.under.lab.must(metadata.name, argv);
        world.foreign.set(metadata.name, await world.foreignOn(metadata.name));
      }
      await world.apply(...nodes);
      for (const node of nodes) await world.under.settled(node, 60_000);
      return world;
    } catch (error) {
      world.tellLogs();
      await world.end();
      throw error;
    }
  }

  async apply(...nodes: readonly NodeResource[]): Promise<void> {
    using admin = this.under.admin();
    await admin.apply(nodes, null);
  }

  end(): Promise<void> {
    return this.under.end();
  }

  /** Runs one scenario; where it fails, the logs of controllers and agents are told. */
  async tellingLogs(scenario: () => Promise<void>): Promise<void> {
    try {
      await scenario();
    } catch (error) {
      this.tellLogs();
      throw error;
    }
  }

  private tellLogs(): void {
    const names = this.under.lab.record.processes.map(({ name }) => name);
    const ours = names.filter((name) => /^(ctl|agent)/.test(name));
    console.error(ours.map((name) => this.under.logOf(name)).join('\n'));
  }

  private async foreignOn(host: string): Promise<string> {
    const look = (...argv: string[]): Promise<string> => this.under.lab.must(host, argv);
    const facts = await Promise.all([
      look('ip', '-j', 'address', 'show', 'dev', 'foreign0'),
      look('ip', 'route', 'show', '203.0.113.0/24'),
      look('stat', '-c', '%i', '/run/netns/foreign'),
      look('ip', '-j', '-n', 'foreign', 'address', 'show', 'dev', 'lo'),
    ]);
    return facts.join('\n');
  }

  async assertForeignIntact(host: string): Promise<void> {
    assert.equal(await this.foreignOn(host), this.foreign.get(host), `foreign objects on ${host}`);
  }

  async inflict(host: string, fault: Fault): Promise<number> {
    const atMs = Date.now();
    for (const argv of fault.commands) await this.under.lab.must(host, argv);
    return atMs;
  }

  async repairs(node: string, sinceMs: number): Promise<RepairRecord[]> {
    using admin = this.under.admin();
    const { lifecycle } = await admin.describe(node);
    return (lifecycle?.repairs ?? []).filter(({ atMs }) => atMs >= sinceMs);
  }

  /**
   * The whole of what has to hold after a fault: the host is as it should be, one repair of it is on
   * record and no second one, `explain` tells it, and what is foreign is as it was.
   */
  async assertMended(
    node: NodeResource,
    sinceMs: number,
    by?: RepairRecord['by'],
  ): Promise<RepairRecord> {
    const { name } = node.metadata;
    await this.under.settled(node, 30_000);
    const mending = async (): Promise<RepairRecord[] | null> => {
      const repairs = (await this.repairs(name, sinceMs)).filter(isMending);
      return repairs.length > 0 ? repairs : null;
    };
    const [first, ...more] = await eventually('its repair is on record', mending, {
      within: 20_000,
    });
    assert.ok(first);
    assert.deepEqual(
      more.filter(({ incidentId }) => incidentId === first.incidentId),
      [],
      'twice',
    );
    if (by !== undefined) assert.equal(first.by, by, JSON.stringify(first));
    using admin = this.under.admin();
    const explained = await admin.explain(name);
    assert.deepEqual(explained.difference, []);
    assert.match(explained.lastRepair ?? '', /^converged/);
    await this.assertForeignIntact(name);
    return first;
  }
}

/** A record of a repair that changed something; the others say that nothing was left to do. */
const isMending = (record: RepairRecord): boolean =>
  record.outcome === 'converged' && record.repairedInMs !== null;
