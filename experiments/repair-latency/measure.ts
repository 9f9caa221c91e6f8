/** How long a deleted veth stays deleted: from the kernel's event to the verified repair. */
import { setTimeout as delay } from 'node:timers/promises';
import { EdgeLocalClient } from '../../adapters/edge-local/client';
import type { RepairRecord } from '../../core/model/messages';
import type { NodeResource } from '../../core/model/node';
import { EDGE_SOCKET } from '../../lab/declare';
import { faultsOf } from '../../lab/faults';
import { type TestLab, exampleNode } from '../../lab/testing';
import { eventually } from '../../lab/wait';
import type { Figure } from '../common/figures';
import { withLab } from '../common/lab';

interface Form {
  nodes: number;
  drifts: number;
  /** With Temporal gone. */
  autonomous: number;
}

const FULL: Form = { nodes: 4, drifts: 200, autonomous: 40 };
const SMOKE: Form = { nodes: 1, drifts: 5, autonomous: 2 };

/** After each repair, for what it left to do: records, the workflow's next wait. */
const REST_MS = 400;
/** Nobody fights where each node has one drift in a window. */
const WINDOW_MS = 1_000;
const LOOK_EVERY_MS = 50;

export function measure(smoke: boolean): Promise<Figure[]> {
  const form = smoke ? SMOKE : FULL;
  const nodes = Array.from({ length: form.nodes }, (_, i) => busyNode(i + 1));
  return withLab(nodes, { etcds: smoke ? 1 : 3 }, async (test) => {
    using admin = test.admin();
    await admin.apply(nodes, null);
    for (const node of nodes) await test.settled(node, 60_000);
    await delay(smoke ? 1_000 : 10_000);
    const byWorkflow = await drifts(test, nodes, form.drifts, 'workflow');
    await test.lab.stop('temporal');
    const byAgent = await drifts(test, nodes, form.autonomous, 'agent');
    return figures(byWorkflow, byAgent, nodes[0]?.spec.repair.autonomyAfterMs ?? 0);
  });
}

function busyNode(index: number): NodeResource {
  const node = exampleNode(`edge-${index}`, index);
  const budget = { attempts: 100, perMs: WINDOW_MS };
  return { ...node, spec: { ...node.spec, repair: { ...node.spec.repair, budget } } };
}

/** One veth deleted after another, the nodes in turns; ms from event to verified of each. */
async function drifts(
  test: TestLab,
  nodes: readonly NodeResource[],
  count: number,
  by: RepairRecord['by'],
): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const node = nodes[i % nodes.length];
    if (node === undefined) throw new Error('there is no node to break');
    const record = await drift(test, node);
    if (record.by !== by || record.repairedInMs === null) {
      throw new Error(`drift ${i}: not repaired by the ${by}: ${JSON.stringify(record)}`);
    }
    samples.push(record.repairedInMs);
    await delay(Math.max(REST_MS, WINDOW_MS / nodes.length));
  }
  return samples;
}

async function drift(test: TestLab, node: NodeResource): Promise<RepairRecord> {
  const { name } = node.metadata;
  using agent = new EdgeLocalClient(test.lab.pathIn(name, EDGE_SOCKET));
  const former = (await agent.status()).lastRepair?.incidentId;
  for (const argv of faultsOf(node).vethDeletedInHost.commands) await test.lab.must(name, argv);
  const mended = async (): Promise<RepairRecord | null> => {
    const { lastRepair, findings } = await agent.status();
    return lastRepair?.incidentId !== former && findings.length === 0 ? lastRepair : null;
  };
  return await eventually(`${name} is repaired`, mended, { within: 30_000, every: LOOK_EVERY_MS });
}

const EVENT = 'From kernel event (a veth deleted) to verified repair';

function figures(byWorkflow: number[], byAgent: number[], waitMs: number): Figure[] {
  const whole = { unit: 'ms', samples: byWorkflow, peer: null };
  return [
    { claim: `${EVENT}, through Temporal: p50`, bar: { measure: 'median', atMost: 90 }, ...whole },
    { claim: `${EVENT}, through Temporal: p99`, bar: { measure: 'p99', atMost: 300 }, ...whole },
    {
      claim: `${EVENT}, by the agent alone, less its waiting time of ${waitMs} ms: p99`,
      unit: 'ms',
      bar: { measure: 'p99', atMost: 100 },
      samples: byAgent.map((ms) => ms - waitMs),
      peer: null,
    },
  ];
}
