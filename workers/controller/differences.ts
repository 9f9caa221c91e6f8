/** How two resources differ, in lines for people. */

type Fields = Map<string, string>;

/**
 * `spec.namespaces[edge].links[edge0].mtu: 1500 -> 1400`; `+` and `-` where one side has nothing.
 * Elements of lists are named by what identifies them, so that a changed order is no difference.
 */
export function differences(former: unknown, next: unknown): string[] {
  const [before, after] = [flatten(former), flatten(next)];
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths.flatMap((path) => {
    const [old, now] = [before.get(path), after.get(path)];
    if (old === now) return [];
    if (old === undefined) return [`+ ${path}: ${now}`];
    if (now === undefined) return [`- ${path}: ${old}`];
    return [`${path}: ${old} -> ${now}`];
  });
}

function flatten(value: unknown): Fields {
  const fields: Fields = new Map();
  const walk = (at: unknown, path: string): void => {
    if (Array.isArray(at)) {
      for (const element of at) walk(element, `${path}[${nameOf(element)}]`);
    } else if (typeof at === 'object' && at !== null) {
      for (const [key, member] of Object.entries(at)) {
        const part = /^\w+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
        walk(member, path === '' ? key : path + part);
      }
    } else {
      fields.set(path, JSON.stringify(at));
    }
  };
  walk(value, '');
  return fields;
}

/** What an element of a list is told apart by: its name, its target, its address, or itself. */
function nameOf(element: unknown): string {
  if (typeof element !== 'object' || element === null) return String(element);
  const { name, interface: device, to, prefix, address } = element as Record<string, unknown>;
  return String(name ?? device ?? to ?? prefix ?? address);
}
