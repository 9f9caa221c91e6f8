/** What an agent costs that guards ten namespaces while nothing happens. */
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeResource } from '../../core/model/node';
import { agentOf } from '../../lab/declare';
import type { Lab } from '../../lab/lab';
import { exampleNode } from '../../lab/testing';
import type { Figure } from '../common/figures';
import { withLab } from '../common/lab';
import { cpuMs, residentMb } from '../common/process';

const NAMESPACES = 10;

/** `restMs`: until the repair that brought the node up has lingered and ended. */
interface Form {
  restMs: number;
  windows: number;
  windowMs: number;
}

const FULL: Form = { restMs: 45_000, windows: 3, windowMs: 60_000 };
const SMOKE: Form = { restMs: 1_000, windows: 2, windowMs: 2_000 };

/** The example's namespace ten times, each with links, addresses and a route of its own. */
export function idleNode(): NodeResource {
  const node = exampleNode('idle-1', 1);
  const namespaces = Array.from({ length: NAMESPACES }, (_, i) =>
    exampleNode('idle-1', i + 1).spec.namespaces.map((namespace) => ({
      ...namespace,
      name: `edge-${i}`,
      links: namespace.links.map((link) => ({ ...link, name: `edge${i}` })),
    })),
  );
  return { ...node, spec: { ...node.spec, namespaces: namespaces.flat() } };
}

export function measure(smoke: boolean): Promise<Figure[]> {
  const node = idleNode();
  return withLab([node], {}, async (test) => {
    using admin = test.admin();
    await admin.apply([node], null);
    await test.settled(node, 60_000);
    return await watch(test.lab, agentOf(node.metadata.name), smoke ? SMOKE : FULL);
  });
}

async function watch(lab: Lab, agent: string, form: Form): Promise<Figure[]> {
  await delay(form.restMs);
  const pid = lab.process(agent)?.pid;
  if (pid === undefined) throw new Error(`${agent} does not run: see ${lab.stateDir}`);
  const memory: number[] = [];
  const cpu: number[] = [];
  for (let i = 0; i < form.windows; i += 1) {
    const [beganMs, usedMs] = [performance.now(), cpuMs(pid)];
    await delay(form.windowMs);
    cpu.push((100 * (cpuMs(pid) - usedMs)) / (performance.now() - beganMs));
    memory.push(residentMb(pid));
  }
  return [
    figure('MB', { measure: 'max', atMost: 150 }, 'resident memory', memory),
    figure('%', { measure: 'median', atMost: 0.5 }, `CPU over ${form.windowMs / 1000} s`, cpu),
  ];
}

const figure = (unit: string, bar: Figure['bar'], what: string, samples: number[]): Figure => ({
  claim: `An agent with ${NAMESPACES} namespaces when nothing happens: ${what}`,
  unit,
  bar,
  samples,
  peer: null,
});
