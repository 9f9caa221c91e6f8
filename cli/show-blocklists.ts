/** Blocklists, for people. */
import { stringify } from 'yaml';
import { blocklistUserForm } from '../core/model/schema-blocklist';
import { selectorText } from '../core/model/selector';
import type { BlocklistDescription, BlocklistView, BlockView, FeedView } from '../core/model/views';
import { ago, plural, table } from './output';
import type { Output } from './output';
import { heading, indented } from './show';

function feedState(feed: FeedView | null, out: Output, nowMs: number): string {
  const { green, red, yellow } = out.colours;
  if (feed === null) return '-';
  if (feed.problem !== null) {
    const since =
      feed.lastGoodAtMs === null ? 'never good' : `good ${ago(feed.lastGoodAtMs, nowMs)} ago`;
    return red(`not believed, ${since}`);
  }
  if (feed.lastGoodAtMs === null) return yellow('not loaded yet');
  const triedAtMs = feed.lastTryAtMs ?? feed.lastGoodAtMs;
  if (feed.overdue) return yellow(`overdue, tried ${ago(triedAtMs, nowMs)} ago`);
  return green(`good, ${ago(triedAtMs, nowMs)} ago`);
}

export function blocklistsTable(views: readonly BlocklistView[], out: Output): string {
  if (views.length === 0) return 'No blocklists. Declare some: aether apply -f examples/blocklists';
  const { green, yellow } = out.colours;
  const nowMs = Date.now();
  return table(
    ['BLOCKLIST', 'MODE', 'PREFIXES', 'TEMPORARY', 'NODES', 'APPLIED', 'FEED'],
    views.map((view) => [
      view.name,
      view.mode,
      String(view.count),
      String(view.temporary),
      selectorText(view.nodes),
      (view.applied === view.bound ? green : yellow)(`${view.applied} of ${view.bound}`),
      feedState(view.feed, out, nowMs),
    ]),
  );
}

export function blocksTable(views: readonly BlockView[]): string {
  if (views.length === 0) return 'Nothing is blocked by hand.';
  const nowMs = Date.now();
  const end = ({ untilMs }: BlockView): string => {
    if (untilMs === null) return 'until unblocked';
    return untilMs > nowMs ? `for ${ago(nowMs, untilMs)}` : 'ended';
  };
  return table(
    ['PREFIX', 'STILL', 'NODES', 'BY', 'SINCE', 'REASON'],
    views.map((view) => [
      view.prefix,
      end(view),
      `${view.bound}: ${selectorText(view.nodes)}`,
      view.by,
      `${ago(view.atMs, nowMs)} ago`,
      view.reason,
    ]),
  );
}

export function describeBlocklist(found: BlocklistDescription, out: Output): string {
  const { view, resource, nodes } = found;
  const nowMs = Date.now();
  const { feed } = view;
  const at = (ms: number | null): string => (ms === null ? 'never' : `${ago(ms, nowMs)} ago`);
  return [
    blocklistsTable([view], out),
    heading(out, 'Set'),
    indented(
      view.sha256 === null
        ? 'nothing is blocked for good'
        : `${plural(view.count, 'prefix', 'prefixes')}, ${view.sha256}, revision ${view.revision}`,
    ),
    ...(feed === null
      ? []
      : [
          heading(out, 'Feed'),
          indented(
            [
              `${feed.url}: ${plural(feed.count, 'prefix', 'prefixes')}`,
              `last believed ${at(feed.lastGoodAtMs)}, last tried ${at(feed.lastTryAtMs)}`,
              ...(feed.problem === null ? [] : [out.colours.red(`not believed: ${feed.problem}`)]),
              ...feed.notes,
            ].join('\n'),
          ),
        ]),
    heading(out, 'Nodes'),
    indented(
      nodes.length === 0
        ? 'no node has these labels'
        : table(
            ['NODE', 'EDGE', 'APPLIED', 'NOTE'],
            nodes.map(({ node, connected, applied, note }) => [
              node,
              connected ? 'connected' : 'not connected',
              applied ? 'yes' : 'not yet',
              note ?? '',
            ]),
          ),
    ),
    heading(out, 'Resource'),
    indented(stringify(blocklistUserForm(resource))),
  ].join('\n');
}
