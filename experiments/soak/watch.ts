/** What must not grow: memory and descriptors of our processes, objects on the edges, histories. */
import type { Lab } from '../../lab/lab';
import { descriptors, residentMb } from '../common/process';

export interface ProcessSnapshot {
  pid: number;
  residentMb: number;
  descriptors: number;
  /** Of these, those that hold a network namespace open. */
  namespaces: number;
}

export interface Snapshot {
  atS: number;
  /** By name, those of ours: controllers and agents. */
  processes: Record<string, ProcessSnapshot>;
  /** Of the longest workflow run, closed ones included. */
  history: { events: number; bytes: number };
}

export function look(lab: Lab, name: string): ProcessSnapshot {
  const process = lab.process(name);
  if (process === null) throw new Error(`${name} does not run`);
  const open = descriptors(process.pid);
  return {
    pid: process.pid,
    residentMb: residentMb(process.pid),
    descriptors: open.length,
    namespaces: open.filter((target) => target.startsWith('net:')).length,
  };
}

/** Names of the links and namespaces of an edge: an orphan would be one more. */
export async function objectsOf(lab: Lab, edge: string): Promise<string[]> {
  const namespaces = (await lab.must(edge, ['ip', 'netns'])).split('\n').flatMap((line) => {
    const name = line.split(' ')[0];
    return name === undefined || name === '' ? [] : [name];
  });
  const links = async (where: string, ip: readonly string[]): Promise<string[]> => {
    const shown = JSON.parse(await lab.must(edge, [...ip, '-j', 'link'])) as { ifname: string }[];
    return shown.map(({ ifname }) => `${where}/${ifname}`);
  };
  const inside = await Promise.all(namespaces.map((name) => links(name, ['ip', '-n', name])));
  return [...namespaces, ...(await links(edge, ['ip'])), ...inside.flat()].sort();
}

interface Execution {
  execution: { workflowId: string; runId: string };
  status: string;
  historyLength?: string;
  historySizeBytes?: string;
}

/** Of Temporal's HTTP API, by way of its UI. */
export async function longestHistory(ui: string): Promise<Snapshot['history']> {
  const ask = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${ui}/api/v1/namespaces/default/workflows${path}`);
    if (!response.ok) throw new Error(`Temporal answers ${response.status} to ${path}`);
    return (await response.json()) as T;
  };
  const { executions } = await ask<{ executions?: Execution[] }>('?pageSize=200');
  const described = (executions ?? []).map(async (execution) => {
    if (!execution.status.endsWith('_RUNNING')) return execution;
    const { workflowId, runId } = execution.execution;
    const path = `/${encodeURIComponent(workflowId)}?execution.runId=${runId}`;
    return (await ask<{ workflowExecutionInfo: Execution }>(path)).workflowExecutionInfo;
  });
  const all = await Promise.all(described);
  return {
    events: Math.max(0, ...all.map(({ historyLength }) => Number(historyLength ?? 0))),
    bytes: Math.max(0, ...all.map(({ historySizeBytes }) => Number(historySizeBytes ?? 0))),
  };
}
