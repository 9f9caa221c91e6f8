/** How each key below the root is read, and what of it finds the nodes that it concerns. */
import type { BlockValue } from '../../core/model/blocklist';
import { keys } from '../../core/model/keys';
import type { Selector } from '../../core/model/selector';
import * as values from '../../core/model/values';
import type { BlocklistValue, Parsed, ServiceValue, UnboundValue } from '../../core/model/values';

/** A value in etcd of another version, or a slip by hand. */
export class UnreadableKey extends Error {
  override readonly name = 'UnreadableKey';

  constructor(key: string, reason: string) {
    super(`The key ${key} in etcd can't be read: ${reason}`);
  }
}

/** How to read what lies below a prefix; other keys are none of our business. */
export const PARSERS: readonly [string, (text: string) => Parsed<unknown>][] = [
  [keys.nodes, values.parseNodeValue],
  [keys.phases, values.parsePhaseValue],
  [keys.overrides, values.parseFreezeValue],
  [keys.freeze, values.parseFreezeValue],
  [keys.cluster, values.parseClusterValue],
  [keys.owners, values.parseOwnerValue],
  [keys.controllers, values.parseControllerValue],
  [keys.blocklists, values.parseBlocklistValue],
  [keys.feeds, values.parseFeedValue],
  [keys.blocks, values.parseBlockValue],
  [keys.unbounds, values.parseUnboundValue],
  [keys.services, values.parseServiceValue],
  [keys.routings, values.parseNodeRouting],
  [keys.traffics, values.parseServiceTraffic],
  [keys.allPermits, values.parsePermits],
];

export const isBelow = (key: string, prefixes: readonly string[]): boolean =>
  prefixes.some((prefix) => key.startsWith(prefix));

/** Keys that are named for the one node that they concern. */
export const OF_NODES = [keys.nodes, keys.phases, keys.overrides, keys.routings];

/** Keys that are named for a service, and concern the nodes that it is bound to. */
export const OF_SERVICES = [keys.traffics, keys.allPermits];

export const ofService = ({ resource }: ServiceValue): Selector => resource.spec.nodes;

/** Of what is bound to nodes by their labels: how to find its selector. */
export const SELECTORS: readonly [string, (value: never) => Selector][] = [
  [keys.blocklists, (value: BlocklistValue) => value.resource.spec.nodes],
  [keys.blocks, (value: BlockValue) => value.nodes],
  [keys.unbounds, (value: UnboundValue) => value.nodes],
  [keys.services, ofService],
];

/** Keys that specs are made of. */
export const OF_SPECS = [
  keys.freeze,
  ...OF_NODES,
  ...OF_SERVICES,
  ...SELECTORS.map(([prefix]) => prefix),
];
