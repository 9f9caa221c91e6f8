/** What both configurations need: reading a variable so that a mistake names it. */

export type Environment = NodeJS.ProcessEnv;

/** Which variable is wrong, how, and what would be right. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export function required(env: Environment, name: string, right: string): string {
  const value = env[name];
  if (value === undefined || value === '') {
    throw new ConfigError(`${name} is not set; it takes ${right}`);
  }
  return value;
}

export const commaList = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** `value` if it is one of `allowed`. */
export function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw new ConfigError(`${name}="${value}" is not known; use one of ${allowed.join(', ')}`);
}
