/** YAML with the places of things: which line and column a field of a document stands at. */
import { LineCounter, isMap, isPair, isScalar, isSeq, parseAllDocuments } from 'yaml';
import type { Document, Node, Pair } from 'yaml';

export interface Position {
  /** From 1. */
  line: number;
  column: number;
}

export interface YamlDocument {
  /** Plain data. */
  value: unknown;
  /**
   * Where `path` stands; the nearest thing around it where it is absent. `key`: the position of the
   * field's name rather than of its value.
   */
  positionOf(path: readonly (string | number)[], key?: boolean): Position;
}

export interface YamlError extends Position {
  message: string;
}

export type ParsedYaml =
  { ok: true; documents: YamlDocument[] } | { ok: false; errors: YamlError[] };

/** Aliases expand to at most as many times what was written. */
const MAX_ALIASES = 100;

/** Parses all documents of a text; empty ones are left out. */
export function parseYaml(text: string): ParsedYaml {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  if ('empty' in documents) return { ok: true, documents: [] };
  const errors: YamlError[] = documents.flatMap((document) =>
    document.errors.map((error) => ({
      ...place(lines, error.pos[0]),
      message: error.message,
    })),
  );
  if (errors.length > 0) return { ok: false, errors };
  try {
    const wrapped = documents.map((document) => wrap(document as Document, lines));
    return { ok: true, documents: wrapped.filter(({ value }) => value !== null) };
  } catch (error) {
    // An alias without its anchor, or a bomb of aliases.
    return { ok: false, errors: [{ line: 1, column: 1, message: (error as Error).message }] };
  }
}

function place(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

function wrap(document: Document, lines: LineCounter): YamlDocument {
  return {
    value: document.toJS({ maxAliasCount: MAX_ALIASES }),
    positionOf: (path, key = false) => place(lines, offsetOf(document.contents, path, key)),
  };
}

function offsetOf(root: Node | null, path: readonly (string | number)[], key: boolean): number {
  let offset = root?.range?.[0] ?? 0;
  let node: unknown = root;
  for (const [depth, part] of path.entries()) {
    const [name, value] = childOf(node, part);
    if (name === null && value === null) break;
    const last = depth === path.length - 1;
    const shown = last && key ? (name ?? value) : (value ?? name);
    offset = shown?.range?.[0] ?? offset;
    node = value;
  }
  return offset;
}

/** The node of a key (null in sequences) and of its value. */
function childOf(node: unknown, part: string | number): [Node | null, Node | null] {
  if (isSeq(node) && typeof part === 'number')
    return [null, (node.items[part] ?? null) as Node | null];
  if (!isMap(node)) return [null, null];
  const pair = node.items.find(
    (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part),
  ) as Pair<Node, Node | null> | undefined;
  return pair === undefined ? [null, null] : [pair.key, pair.value];
}
