/** What operators do with blocklists and single prefixes. */
import { AdminError, type BlockAnswer, type BlockRequest } from '../../adapters/admin/proto';
import { unchanged } from '../../adapters/etcd/port';
import { SHORTEST } from '../../core/filter/feed-policy';
import { failsafeHit } from '../../core/model/cluster';
import type { Keyed, Stored } from '../../core/model/compile';
import type { BlockValue } from '../../core/model/blocklist';
import type { NodeName } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import { formatPrefix, isNetwork, network, type Prefix } from '../../core/model/prefix';
import { parseSource, saidRefusal } from '../../core/model/prefix-entry';
import { type Selector, selectorText } from '../../core/model/selector';
import { type BlocklistValue, parseBlockValue, valueText } from '../../core/model/values';
import type {
  BlocklistDescription,
  BlocklistView,
  BlockView,
  FeedView,
} from '../../core/model/views';
import type { AdminDependencies } from './admin';
import { assertRead, notFound, refused } from './admin-errors';
import { readKey } from './desired';
import { isOverdue } from './feeds';
import { unboundMarks } from './kinds';
import { ownAddressIn } from './own-addresses';
import { newIncarnation } from './resources';

/** Each is in every spec that it concerns; a list is made for more. */
const BLOCKS_MAX = 10_000;

type Dependencies = Pick<AdminDependencies, 'etcd' | 'guard' | 'desired' | 'edges'>;

export class BlocklistVerbs {
  constructor(private readonly deps: Dependencies) {}

  get(name: string | null): BlocklistView[] {
    const { desired } = this.deps;
    assertRead(desired);
    const names = name === null ? desired.blocklistNames() : [name];
    return names.map((each) => this.view(each, this.stored(each)));
  }

  describe(name: string): BlocklistDescription {
    const { desired, edges } = this.deps;
    assertRead(desired);
    const stored = this.stored(name);
    const { resource } = stored.value;
    const nodes = desired.selected(resource.spec.nodes).map((node) => ({
      node,
      connected: edges.get(node)?.connected ?? false,
      applied: this.hasApplied(node),
      note: edges.get(node)?.refused ?? null,
    }));
    return { view: this.view(name, stored), resource, nodes };
  }

  /** By hand; in the order of their keys. */
  blocks(prefix: string | null): BlockView[] {
    const { desired } = this.deps;
    assertRead(desired);
    const wanted = prefix === null ? null : formatPrefix(needPrefix(prefix));
    const found = desired.blocks().filter(({ value }) => [null, value.prefix].includes(wanted));
    if (found.length > 0 || wanted === null) {
      return found.map(({ value, revision }) => ({
        ...value,
        revision,
        bound: desired.selected(value.nodes).length,
      }));
    }
    throw this.notBlocked(wanted);
  }

  async block(request: BlockRequest, by: string): Promise<BlockAnswer> {
    const { desired, edges } = this.deps;
    assertRead(desired);
    const prefix = needPrefix(request.prefix);
    const text = formatPrefix(prefix);
    const { revision, selector } = request.blocked
      ? await this.put(prefix, request, by)
      : await this.lift(text);
    const nodes = desired.selected(selector);
    return {
      revision,
      nodes,
      connected: nodes.filter((node) => edges.get(node)?.connected ?? false),
    };
  }

  private async put(prefix: Prefix, request: BlockRequest, by: string) {
    const { reason, forMs, force } = request;
    const selector: Selector = Object.keys(request.nodes).length === 0 ? null : request.nodes;
    this.assertBlockable(prefix, selector, force);
    const atMs = Date.now();
    const untilMs = forMs === 0 ? null : atMs + forMs;
    const wrong = saidRefusal(reason, untilMs);
    if (wrong !== null) {
      const message = `Nothing was blocked: ${wrong}.`;
      throw new AdminError({ code: 'invalid', message, issues: [] });
    }
    const value: BlockValue = {
      prefix: formatPrefix(prefix),
      reason,
      by,
      atMs,
      untilMs,
      nodes: selector === null ? null : { ...selector },
    };
    const revision = await this.write(value.prefix, () => value);
    return { revision, selector };
  }

  private async lift(prefix: string) {
    let selector: Selector = null;
    const revision = await this.write(prefix, (former) => {
      if (former === null) throw this.notBlocked(prefix);
      selector = former.value.nodes;
      return null;
    });
    return { revision, selector };
  }

  /** Replaces what is there, under its revision; whoever it was bound to before is marked. */
  private async write(
    prefix: string,
    next: (former: Keyed<BlockValue>) => BlockValue | null,
  ): Promise<number> {
    const { etcd, guard } = this.deps;
    const key = keys.block(prefix);
    for (;;) {
      const former = readKey(await etcd.get(key), parseBlockValue);
      const value = next(former);
      const outcome = await etcd.write(
        [guard(), unchanged(key, former?.revision ?? 0)],
        [
          value === null ? { op: 'delete', key } : { op: 'put', key, value: valueText(value) },
          ...(former === null ? [] : unboundMarks([former.value.nodes])),
        ],
      );
      if (outcome.committed) return outcome.revision;
      const now = outcome.found.find((entry) => entry.key === key)?.modRevision ?? 0;
      if (now === (former?.revision ?? 0)) throw newIncarnation();
    }
  }

  private assertBlockable(prefix: Prefix, selector: Selector, force: boolean): void {
    const { desired } = this.deps;
    const text = formatPrefix(prefix);
    if (prefix.length < SHORTEST[prefix.family] && !force) {
      const what = prefix.length === 0 ? 'every address there is' : 'more than one network has';
      throw refused(`${text} is ${what}; nothing was blocked. If that is meant, use --force.`);
    }
    const present = desired.blocks();
    if (present.length >= BLOCKS_MAX && !present.some(({ value }) => value.prefix === text)) {
      throw refused(
        `${BLOCKS_MAX} prefixes are blocked by hand already; nothing was blocked. A Blocklist is made for more.`,
      );
    }
    const nodes = desired.selected(selector);
    if (selector !== null && nodes.length === 0) {
      throw refused(`No node has the labels ${selectorText(selector)}; nothing was blocked.`);
    }
    const resources = nodes.flatMap((node) => desired.inputs(node).node?.value.resource ?? []);
    const hit = failsafeHit(prefix, resources);
    if (hit !== null) {
      throw refused(
        `${text} has a part of ${hit.failsafe}, which is failsafe on node ${hit.node}; nothing was blocked.`,
      );
    }
    const own = ownAddressIn(prefix);
    if (own !== null) {
      throw refused(`${text} has ${own}, an address of this controller; nothing was blocked.`);
    }
  }

  private notBlocked(prefix: string): AdminError {
    const lists = this.deps.desired
      .bindings()
      .blocklists.filter(({ value }) =>
        value.resource.spec.entries.some((entry) => entry.prefix === prefix),
      )
      .map(({ value }) => value.resource.metadata.name);
    const where = lists.length === 0 ? '' : ` It is an entry of blocklist ${lists.join(', ')}.`;
    const message = `${prefix} is not blocked by hand; nothing was changed.${where}`;
    return new AdminError({ code: 'notFound', message });
  }

  private stored(name: string): Stored<BlocklistValue> {
    const stored = this.deps.desired.blocklist(name);
    if (stored === null) throw notFound('Blocklist', name);
    return stored;
  }

  private view(name: string, { value, revision }: Stored<BlocklistValue>): BlocklistView {
    const { resource, blob } = value;
    const { mode, nodes, entries } = resource.spec;
    const bound = this.deps.desired.selected(nodes);
    const nowMs = Date.now();
    return {
      name,
      revision,
      mode,
      nodes,
      count: blob?.count ?? 0,
      sha256: blob?.sha256 ?? null,
      temporary: entries.filter(({ expiresAtMs }) => (expiresAtMs ?? 0) > nowMs).length,
      bound: bound.length,
      applied: bound.filter((node) => this.hasApplied(node)).length,
      feed: this.feedView(name, value),
    };
  }

  private feedView(name: string, { resource }: BlocklistValue): FeedView | null {
    const { feed } = resource.spec;
    if (feed === null) return null;
    const state = this.deps.desired.feed(name)?.value ?? null;
    return {
      url: feed.url,
      count: state?.list?.count ?? 0,
      lastGoodAtMs: state?.lastGoodAtMs ?? null,
      lastTryAtMs: state?.lastTryAtMs ?? null,
      overdue: isOverdue(feed, state, Date.now()),
      problem: state?.problem ?? null,
      notes: state?.notes ?? [],
    };
  }

  /** Its host was verified to be as the present spec says, lists included. */
  private hasApplied(node: NodeName): boolean {
    const { hash } = this.deps.desired.of(node);
    return hash !== null && this.deps.edges.get(node)?.appliedHash === hash;
  }
}

function needPrefix(text: string): Prefix {
  const prefix = parseSource(text);
  if (prefix !== null && isNetwork(prefix)) return prefix;
  const message =
    prefix === null
      ? `"${text}" is no prefix; write it as 192.0.2.0/24, 192.0.2.1 or 2001:db8::/32.`
      : `${formatPrefix(prefix)} has bits set behind its length; is ${formatPrefix(network(prefix))} meant?`;
  throw new AdminError({ code: 'invalid', message, issues: [] });
}
