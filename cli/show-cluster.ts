/** The cluster of controllers, for people. */
import type { ControllerView, RingChange, RingView } from '../core/model/views-cluster';
import { ago, plural, table } from './output';
import type { Output } from './output';
import { heading, indented } from './show';

const STATES = { alive: 'green', suspect: 'yellow', dead: 'red', left: 'dim' } as const;

function gossipText({ gossip, registered }: ControllerView, out: Output, nowMs: number): string {
  if (gossip === null) return registered ? 'not heard' : '-';
  const { state, sinceMs, confirmations } = gossip;
  const by = state === 'suspect' || state === 'dead' ? `, by ${confirmations}` : '';
  return `${out.colours[STATES[state]](state)} ${ago(sinceMs, nowMs)}${by}`;
}

export function membersTable(views: readonly ControllerView[], out: Output, nowMs: number): string {
  const { red, yellow, dim } = out.colours;
  return table(
    ['CONTROLLER', 'LEASE', 'GOSSIP', 'SHARDS', 'WEIGHT', 'EDGES AT', 'ADMIN AT'],
    views.map((view) => [
      view.self ? `${view.id} ${dim('(this one)')}` : view.id,
      view.registered ? (view.draining ? yellow('draining') : 'held') : red('none'),
      gossipText(view, out, nowMs),
      view.shards === view.holds ? String(view.holds) : yellow(`${view.holds} of ${view.shards}`),
      String(view.weight),
      view.edgeAddress ?? '-',
      view.adminAddress ?? '-',
    ]),
  );
}

const changeText = ({ epoch, atMs, moves }: RingChange, nowMs: number): string => {
  const parts = moves.map(({ from, to, shards }) => `${from ?? 'nobody'} -> ${to} ${shards}`);
  return `${ago(atMs, nowMs)} ago, epoch ${epoch}: ${parts.join(', ') || 'weights alone'}`;
};

/** `shards`: each of them as well. */
export function ringText(view: RingView, out: Output, nowMs: number, shards: boolean): string {
  if (view.epoch === null) return 'There is no map yet: no controller has a lease.';
  const { yellow } = out.colours;
  const unowned = view.shards.filter(({ owner }) => owner === null).length;
  const moving = view.shards.filter(({ controller, owner }) => owner !== controller).length;
  const members = table(
    ['CONTROLLER', 'STATE', 'WEIGHT', 'SHARDS', 'HOLDS', 'EDGES', 'LOAD'],
    view.members.map((each) => [
      each.id,
      each.state === 'here' ? 'here' : yellow(each.state),
      String(each.weight),
      String(each.shards),
      each.holds === each.shards ? String(each.holds) : yellow(String(each.holds)),
      String(each.edges),
      `${(each.load * 100).toFixed(1)} %`,
    ]),
  );
  const state =
    moving === 0
      ? 'every shard is owned by whom the map says'
      : yellow(`${plural(moving, 'shard')} on the move, ${unowned} without an owner`);
  return [
    `epoch ${view.epoch}, ${plural(view.shards.length, 'shard')}, imbalance ${view.imbalance.toFixed(3)}: ${state}`,
    '',
    members,
    heading(out, 'Last movements'),
    view.changes.length === 0
      ? indented('none')
      : indented(view.changes.map((change) => changeText(change, nowMs)).join('\n')),
    ...(shards ? ['', shardsTable(view)] : []),
  ].join('\n');
}

const shardsTable = ({ shards }: RingView): string =>
  table(
    ['SHARD', 'CONTROLLER', 'OWNER', 'FENCE', 'WARM', 'EDGES'],
    shards.map(({ shard, controller, owner, ownerRevision, warm, edges }) => [
      String(shard).padStart(3, '0'),
      controller,
      owner ?? 'nobody',
      String(ownerRevision ?? '-'),
      warm ?? '-',
      String(edges),
    ]),
  );
