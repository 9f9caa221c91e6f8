import { pathText, type Issue } from './issues';
import type { At } from './view';

/** The second and later holders of a name are at fault. */
export const duplicates = (names: readonly At<string>[], what: string): Issue[] => {
  const first = new Map<string, At<string>>();
  const issues: Issue[] = [];
  for (const name of names) {
    const holder = first.get(name.value);
    if (holder === undefined) first.set(name.value, name);
    else {
      issues.push({
        path: name.path,
        code: 'duplicate',
        message: `${what} "${name.value}" is taken by ${pathText(holder.path)}`,
        expected: 'a name of its own',
      });
    }
  }
  return issues;
};
