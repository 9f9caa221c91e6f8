/** Ways to break an edge by hand, each as the commands a person would type on that host. */
import { sysctlPath } from './look';
import type { LinkSpec, NamespaceSpec, NodeResource } from '../core/model/node';

export interface Fault {
  /** What happened, for people. */
  title: string;
  commands: readonly (readonly string[])[];
}

/** The first namespace and link of a node: what the faults below break. */
export function target(node: NodeResource): { namespace: NamespaceSpec; link: LinkSpec } {
  const namespace = node.spec.namespaces[0];
  const link = namespace?.links[0];
  if (namespace === undefined || link === undefined) {
    throw new Error(`${node.metadata.name} has no namespace with a link to break`);
  }
  return { namespace, link };
}

const inside = (namespace: NamespaceSpec, ...argv: string[]): string[] => [
  'ip',
  '-n',
  namespace.name,
  ...argv,
];

/** Where the agent pins its bpf_links, in the host's own bpf file system. */
const PINS = '/sys/fs/bpf/aether';

const FIRST_KEY = ['key', '0', '0', '0', '0'] as const;
/** struct filter_config of bpf/include/structs.h. */
const CONFIG_BYTES = 112;

/** What is done to the filter of an interface. */
function filterFaults(uplink: string) {
  return {
    filterDetached: {
      title: `the XDP filter on ${uplink} is detached`,
      commands: [['find', PINS, '-type', 'f', '-delete']],
    },
    filterLinkDetached: {
      title: `the XDP filter on ${uplink} is detached by bpftool; its pins stay`,
      commands: [['bpftool', 'link', 'detach', 'pinned', `${PINS}/${uplink}/link`]],
    },
    filterSetTaken: {
      title: `the set of failsafe sources on ${uplink} is taken away by bpftool`,
      commands: [['bpftool', 'map', 'delete', 'pinned', `${PINS}/${uplink}/sets4`, ...FIRST_KEY]],
    },
    filterConfigEmptied: {
      title: `the config of the filter on ${uplink} is emptied by bpftool`,
      commands: [
        [
          ...['bpftool', 'map', 'update', 'pinned', `${PINS}/${uplink}/config`, ...FIRST_KEY],
          ...['value', ...Array<string>(CONFIG_BYTES).fill('0')],
        ],
      ],
    },
    filterPinRemoved: {
      title: `the pin of a map of the filter on ${uplink} is removed`,
      commands: [['rm', `${PINS}/${uplink}/sets6`]],
    },
  } as const satisfies Record<string, Fault>;
}

/** One of each kind, by a stable name. */
export function faultsOf(node: NodeResource) {
  const { namespace, link } = target(node);
  return {
    namespaceDeleted: {
      title: `the namespace ${namespace.name} is deleted`,
      commands: [['ip', 'netns', 'delete', namespace.name]],
    },
    vethDeletedInHost: {
      title: `the link ${link.name} is deleted`,
      commands: [['ip', 'link', 'delete', link.name]],
    },
    vethDeletedInside: {
      title: `its peer ${link.peer} is deleted inside the namespace`,
      commands: [inside(namespace, 'link', 'delete', link.peer)],
    },
    linkDown: {
      title: `the link ${link.name} is set down`,
      commands: [['ip', 'link', 'set', link.name, 'down']],
    },
    peerDown: {
      title: `its peer ${link.peer} is set down`,
      commands: [inside(namespace, 'link', 'set', link.peer, 'down')],
    },
    addressRemoved: {
      title: `the address ${link.addresses[0] ?? ''} is removed`,
      commands: [inside(namespace, 'address', 'delete', link.addresses[0] ?? '', 'dev', link.peer)],
    },
    routeRemoved: {
      title: 'the default route is removed',
      commands: [inside(namespace, 'route', 'delete', 'default')],
    },
    mtuChanged: {
      title: `the MTU of ${link.name} is changed to 1400`,
      commands: [['ip', 'link', 'set', link.name, 'mtu', '1400']],
    },
    ...filterFaults(node.spec.filters[0]?.interface ?? 'uplink0'),
    linkRenamed: {
      title: `${link.name} is renamed to oops0`,
      commands: [
        ['ip', 'link', 'set', link.name, 'down'],
        ['ip', 'link', 'set', link.name, 'name', 'oops0'],
      ],
    },
    sysctlChanged: {
      title: 'a sysctl of the namespace is changed',
      commands: Object.entries(namespace.sysctls)
        .slice(0, 1)
        .map(([key, value]) => [
          'ip',
          'netns',
          'exec',
          namespace.name,
          'sh',
          '-c',
          `echo ${value === '1' ? '0' : '1'} > ${sysctlPath(key)}`,
        ]),
    },
  } as const satisfies Record<string, Fault>;
}

export type FaultName = keyof ReturnType<typeof faultsOf>;
