/** Waits until what was written is on its nodes, and says how they come along. */
import { setTimeout as delay } from 'node:timers/promises';
import type { AdminClient } from '../adapters/admin/client';
import type { Change } from '../adapters/admin/proto';
import type { AnyResource, Kind } from '../core/model/resources';
import { type Selector, selects } from '../core/model/selector';
import type { NodeName } from '../core/model/ids';
import type { BlockView, NodeView } from '../core/model/views';
import type { Look } from './admin';
import { durationOf } from './cli';
import { CliError, EXIT } from './exit-codes';
import type { Output } from './output';

const LOOK_EVERY_MS = 250;

/** What is drained or quarantined stays so, whatever is applied. */
const AT_REST: readonly NodeView['phase'][] = ['active', 'draining', 'quarantined'];

/** What was written to etcd, or taken out of it: at which revision, and whom it concerns. */
export interface Written {
  kind: Kind | 'Block';
  name: string;
  revision: number;
  isGone: boolean;
  concerns: (view: NodeView) => boolean;
}

export const writtenOf = (
  resources: readonly AnyResource[],
  changes: readonly Change[],
): Written[] =>
  resources.map((resource, i) => ({
    kind: resource.kind,
    name: resource.metadata.name,
    revision: changes[i]?.revision ?? 0,
    isGone: false,
    concerns:
      resource.kind === 'Node'
        ? ({ name }) => name === resource.metadata.name
        : isBound(resource.spec.nodes),
  }));

const isBound =
  (nodes: Selector) =>
  ({ deletionRevision, labels }: NodeView): boolean =>
    deletionRevision === null && selects(nodes, labels);

/** A prefix that was blocked by hand on these nodes, or is so no more. */
export const blockWritten = (
  prefix: string,
  blocked: boolean,
  { revision, nodes }: { revision: number; nodes: readonly NodeName[] },
): Written => {
  const names = new Set<string>(nodes);
  const concerns = ({ name }: NodeView): boolean => names.has(name);
  return { kind: 'Block', name: prefix, revision, isGone: !blocked, concerns };
};

type Known = { name: string; revision: number };

/** Nodes as one controller knows them. */
interface Picture {
  nodes: NodeView[];
  /** What it has not read yet: until then a node that is as it should be is so by what was wanted before. */
  unread: string[];
}

async function pictureOf(client: AdminClient, written: readonly Written[]): Promise<Picture> {
  const isOf = (kind: Written['kind']): boolean => written.some((each) => each.kind === kind);
  // Before the nodes: what is bound to these is then in what they are compared with.
  const known: Record<Written['kind'], readonly Known[]> = {
    Blocklist: isOf('Blocklist') ? await client.getBlocklists() : [],
    AnycastService: isOf('AnycastService') ? await client.getServices() : [],
    Block: isOf('Block') ? (await client.getBlocks()).map(blockNamed) : [],
    Node: [],
  };
  const all = await client.get();
  known.Node = all;
  const isRead = ({ kind, name, revision, isGone }: Written): boolean => {
    const found = known[kind].find((view) => view.name === name);
    return found === undefined ? isGone : found.revision >= revision;
  };
  return {
    nodes: all.filter((view) => written.some(({ concerns }) => concerns(view))),
    unread: written.filter((each) => !isRead(each)).map(({ name }) => name),
  };
}

const blockNamed = ({ prefix, revision }: BlockView): Known => ({ name: prefix, revision });

const isSettled = (view: NodeView): boolean => AT_REST.includes(view.phase) && view.converged;

export async function waitForNodes(
  look: Look,
  written: readonly Written[],
  timeout: string,
  out: Output,
): Promise<NodeView[]> {
  const began = performance.now();
  const endsAt = began + durationOf(timeout);
  const told = new Map<string, string>();
  for (;;) {
    const { nodes, unread } = await look(endsAt, (client) => pictureOf(client, written));
    if (unread.length === 0) {
      tell(nodes, performance.now() - began, told, out);
      const failed = nodes.find(({ onboardFailed }) => onboardFailed != null);
      if (failed !== undefined) throw notOnboarded(failed, nodes);
      if (nodes.every(isSettled)) return nodes;
    }
    if (performance.now() > endsAt) throw tooLate(timeout, nodes, unread);
    await delay(LOOK_EVERY_MS);
  }
}

function tell(
  views: readonly NodeView[],
  afterMs: number,
  told: Map<string, string>,
  out: Output,
): void {
  const seconds = (afterMs / 1000).toFixed(1).padStart(5);
  for (const view of views) {
    const line = stateOf(view);
    if (told.get(view.name) !== line) out.progress(`${seconds} s  ${view.name}: ${line}`);
    told.set(view.name, line);
  }
}

function notOnboarded({ name, onboardFailed }: NodeView, nodes: NodeView[]): CliError {
  return new CliError(
    EXIT.failed,
    `${name} was not onboarded: ${onboardFailed}`,
    `It is tried again when its agent connects, by an audit (aether audit), or when it is declared otherwise. See: aether explain node ${name}`,
    { nodes },
  );
}

function stateOf(view: NodeView): string {
  if (isSettled(view)) return `${view.phase}, as it should be`;
  if (!view.connected) return 'waiting for its agent';
  if (view.phase === null) return 'not onboarded yet';
  if (view.phase === 'onboarding') return view.phase;
  return `${view.phase}${view.note === null ? '' : `, ${view.note}`}`;
}

function tooLate(timeout: string, nodes: NodeView[], unread: readonly string[]): CliError {
  const left = nodes.filter((view) => !isSettled(view));
  const states = [
    ...unread.map((name) => `${name} (gone, or not read yet by the controller that answers)`),
    ...left.map((view) => `${view.name} (${stateOf(view)})`),
  ];
  const first = left[0] ?? nodes[0];
  const see = first === undefined ? '' : ` See: aether explain node ${first.name}`;
  return new CliError(
    EXIT.timeout,
    `Not settled within ${timeout}: ${states.join(', ')}`,
    `The desired state is written and will go on being worked towards.${see}`,
    { nodes },
  );
}
