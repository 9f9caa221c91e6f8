/**
 * A lenient reading of a Node document: what can be read is there, the rest is null, and every place
 * keeps its path. So that what spans fields is checked even while some field is still wrong.
 */
import { parseAddress, parsePrefix, type Address, type Prefix } from './prefix';

export type Path = (string | number)[];

/** A value and where it stands. */
export interface At<T> {
  value: T;
  path: Path;
}

export interface LinkView {
  path: Path;
  name: At<string> | null;
  peer: At<string> | null;
  mtu: At<number> | null;
  hostAddresses: At<Prefix>[];
  addresses: At<Prefix>[];
}

export interface RouteView {
  to: At<Prefix> | null;
  via: At<Address> | null;
}

export interface NamespaceView {
  path: Path;
  name: At<string> | null;
  links: LinkView[];
  routes: RouteView[];
  sysctls: At<string>[];
}

export interface NodeViewOfDocument {
  namespaces: NamespaceView[];
  /** Their interfaces. */
  filters: At<string>[];
  /** The whole of each. */
  filterDocuments: At<unknown>[];
}

export const member = (at: At<unknown>, key: string): At<unknown> => {
  const { value } = at;
  const isMapping = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
  return {
    value: isMapping ? (value as Record<string, unknown>)[key] : undefined,
    path: [...at.path, key],
  };
};

export const elements = (at: At<unknown>): At<unknown>[] =>
  Array.isArray(at.value)
    ? at.value.map((value: unknown, i) => ({ value, path: [...at.path, i] }))
    : [];

export const string = ({ value, path }: At<unknown>): At<string> | null =>
  typeof value === 'string' ? { value, path } : null;

const number = ({ value, path }: At<unknown>): At<number> | null =>
  typeof value === 'number' ? { value, path } : null;

export const read = <T>(at: At<unknown>, parse: (text: string) => T | null): At<T> | null => {
  const value = typeof at.value === 'string' ? parse(at.value) : null;
  return value === null ? null : { value, path: at.path };
};

export const present = <T>(items: (T | null)[]): T[] =>
  items.filter((item): item is T => item !== null);

const prefixes = (at: At<unknown>): At<Prefix>[] =>
  present(elements(at).map((element) => read(element, parsePrefix)));

const linkView = (at: At<unknown>): LinkView => ({
  path: at.path,
  name: string(member(at, 'name')),
  peer: string(member(at, 'peer')),
  mtu: number(member(at, 'mtu')),
  hostAddresses: prefixes(member(at, 'hostAddresses')),
  addresses: prefixes(member(at, 'addresses')),
});

const routeView = (at: At<unknown>): RouteView => ({
  to: read(member(at, 'to'), parsePrefix),
  via: read(member(at, 'via'), parseAddress),
});

const sysctlViews = (at: At<unknown>): At<string>[] =>
  typeof at.value === 'object' && at.value !== null
    ? present(Object.keys(at.value).map((key) => string(member(at, key))))
    : [];

const namespaceView = (at: At<unknown>): NamespaceView => ({
  path: at.path,
  name: string(member(at, 'name')),
  links: elements(member(at, 'links')).map(linkView),
  routes: elements(member(at, 'routes')).map(routeView),
  sysctls: sysctlViews(member(at, 'sysctls')),
});

export const viewOf = (document: unknown): NodeViewOfDocument => {
  const spec = member({ value: document, path: [] }, 'spec');
  return {
    namespaces: elements(member(spec, 'namespaces')).map(namespaceView),
    filters: present(
      elements(member(spec, 'filters')).map((at) => string(member(at, 'interface'))),
    ),
    filterDocuments: elements(member(spec, 'filters')),
  };
};
