/** The kinds of resources, as a table: what is the same for all of them is written once. */
import type { AnycastServiceResource } from './anycast';
import type { BlocklistResource } from './blocklist';
import type { Issue } from './issues';
import type { NodeResource } from './node';
import { jsonSchema, userForm, validateNode } from './schema';
import { anycastJsonSchema, anycastUserForm, validateAnycast } from './schema-anycast';
import { blocklistJsonSchema, blocklistUserForm, validateBlocklist } from './schema-blocklist';

export type AnyResource = NodeResource | BlocklistResource | AnycastServiceResource;
export type Kind = AnyResource['kind'];
export type OfKind<K extends Kind> = Extract<AnyResource, { kind: K }>;

interface KindOf<R extends AnyResource> {
  /** As people name it: `aether get nodes`. */
  word: string;
  validate(json: unknown): { ok: true; resource: R } | { ok: false; issues: Issue[] };
  /** As its user would write it; validates to the same resource again. */
  userForm(resource: R): object;
  jsonSchema(): object;
}

export const KINDS: { readonly [K in Kind]: KindOf<OfKind<K>> } = {
  Node: { word: 'node', validate: validateNode, userForm, jsonSchema },
  Blocklist: {
    word: 'blocklist',
    validate: validateBlocklist,
    userForm: blocklistUserForm,
    jsonSchema: blocklistJsonSchema,
  },
  AnycastService: {
    word: 'service',
    validate: validateAnycast,
    userForm: anycastUserForm,
    jsonSchema: anycastJsonSchema,
  },
};

export const KIND_NAMES = Object.keys(KINDS) as Kind[];

/** `node`, `blocklist`, `service`. */
export const wordOf = (kind: Kind): string => KINDS[kind].word;

export const isKind = (kind: unknown): kind is Kind =>
  typeof kind === 'string' && Object.hasOwn(KINDS, kind);

export type ValidatedResource =
  { ok: true; resource: AnyResource } | { ok: false; issues: Issue[] };

/** `Node, Blocklist or AnycastService`. */
export const KINDS_TEXT = `${KIND_NAMES.slice(0, -1).join(', ')} or ${KIND_NAMES.at(-1)}`;

const kindOf = (json: unknown): unknown => (json as { kind?: unknown } | null | undefined)?.kind;

/** Checks a document of any kind, completely. */
export const validateResource = (json: unknown): ValidatedResource => {
  const kind = kindOf(json);
  if (isKind(kind)) return KINDS[kind].validate(json);
  const written = kind === undefined ? 'is missing' : `${JSON.stringify(kind)} is no kind`;
  const issue = { path: ['kind'], code: 'malformed', message: written, expected: KINDS_TEXT };
  return { ok: false, issues: [issue] };
};

export const userFormOf = (resource: AnyResource): object =>
  (KINDS[resource.kind] as KindOf<AnyResource>).userForm(resource);
