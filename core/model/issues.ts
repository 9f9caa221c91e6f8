/** What is wrong with a resource, where, and what would be right. */

export interface Issue {
  /** From the root of the document: `['spec', 'namespaces', 0, 'links', 1, 'mtu']`. */
  path: (string | number)[];
  /** Stable word for scripts: `unknownField`, `malformed`, `duplicate` … */
  code: string;
  /** What is wrong. */
  message: string;
  /** What would be right. */
  expected: string;
}

/** An issue of a set of resources; `index` is the place of its resource in the set. */
export interface ClusterIssue extends Issue {
  node: string;
  index: number;
}

/** `spec.namespaces[0].links[1].mtu`; a key that is no plain word is quoted. */
export const pathText = (path: readonly (string | number)[]): string =>
  path
    .map((part, i) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[A-Za-z_]\w*$/.test(part)) return `[${JSON.stringify(part)}]`;
      return i === 0 ? part : `.${part}`;
    })
    .join('');
