/** From zod's words to ours: every schema's error text says what would be right. */
import type { z } from 'zod';
import type { Issue } from './issues';

type ZodIssue = z.core.$ZodIssue;

const pathOf = (path: readonly PropertyKey[]): (string | number)[] =>
  path.map((part) => (typeof part === 'number' ? part : String(part)));

/** The value as it was written, cut to what fits a line. */
const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
};

const kindOf = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : `a ${typeof value}`;
};

const wrongType = (value: unknown): string => `${shown(value)} is ${kindOf(value)}`;

/** Our code and words for a value that is there and wrong. */
const fault = (zodCode: ZodIssue['code'], value: unknown): Pick<Issue, 'code' | 'message'> => {
  if (zodCode === 'invalid_type') return { code: 'wrongType', message: wrongType(value) };
  if (zodCode === 'too_small' || zodCode === 'too_big') {
    return { code: 'outOfRange', message: `${shown(value)} is out of range` };
  }
  return { code: 'malformed', message: `${shown(value)} cannot be used here` };
};

const isOtherType = ({ path, code }: ZodIssue): boolean =>
  path.length === 0 && code === 'invalid_type';

const issueOf = (issue: ZodIssue): Issue[] => {
  const path = pathOf(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      code: 'unknownField',
      message: `unknown field ${shown(key)}`,
      expected: issue.message,
    }));
  }
  if (issue.code === 'invalid_union' && typeof issue.input === 'object') {
    // A mapping was meant to be the alternative that is one: what is wrong stands inside it.
    const [inside, ...others] = issue.errors.filter((branch) => !branch.some(isOtherType));
    if (inside !== undefined && others.length === 0) {
      return inside.flatMap((each) => issueOf({ ...each, path: [...issue.path, ...each.path] }));
    }
  }
  if (issue.code === 'invalid_key') {
    const message = `${shown(path.at(-1))} cannot be a key here`;
    return [{ path, code: 'malformed', message, expected: issue.issues[0]?.message ?? '' }];
  }
  if (issue.input === undefined) {
    return [{ path, code: 'missing', message: 'is missing', expected: issue.message }];
  }
  return [{ path, ...fault(issue.code, issue.input), expected: issue.message }];
};

/** One issue a place: of several that zod found in one value the first says enough. */
export const issuesOf = (issues: readonly ZodIssue[]): Issue[] => {
  const seen = new Set<string>();
  return issues.flatMap(issueOf).filter(({ path }) => {
    const place = JSON.stringify(path);
    return !seen.has(place) && seen.add(place);
  });
};
