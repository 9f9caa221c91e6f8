/** Which nodes something is bound to: those that have all of its labels. */
import { hashOf } from './hash';

/** Label to value; null = every node. */
export type Selector = Readonly<Record<string, string>> | null;

export const selects = (selector: Selector, labels: Readonly<Record<string, string>>): boolean =>
  selector === null || Object.entries(selector).every(([key, value]) => labels[key] === value);

/** Short name of a selector: equal for equal ones, whatever their order. */
export const selectorId = (selector: Selector): string => hashOf(selector).slice(0, 32);

/** `tier=edge,region=eu`; `every node` for none. */
export const selectorText = (selector: Selector): string =>
  selector === null
    ? 'every node'
    : Object.entries(selector)
        .map(([key, value]) => `${key}=${value}`)
        .sort()
        .join(',');
