/**
 * A reporter for node:test that writes one JSON line for each finished test, for `run-file.ts`.
 * Events say what is a suite, a skip and its reason, which a reader of TAP would have to guess.
 */
import type { TestEvent } from 'node:test/reporters';
import type { Finished } from './results';

function reason(flag: string | boolean | undefined): string | null {
  if (flag === undefined || flag === false) return null;
  return typeof flag === 'string' ? flag : '';
}

function errorText(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  const ours = (line: string): boolean => !/^\s+at .*node:internal/.test(line);
  return (cause.stack ?? cause.message).split('\n').filter(ours).join('\n');
}

/** Whether a suite or parent fails only because one of its own tests, already told, has failed. */
function isEcho(error: Error): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed';
}

async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path: string[] = [];
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      path.length = data.nesting;
      path.push(data.name);
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const error = type === 'test:fail' ? data.details.error : null;
    if (error ? isEcho(error) : data.details.type === 'suite') continue;
    const todo = reason(data.todo);
    const finished: Finished = {
      name: [...path.slice(0, data.nesting), data.name].join(' › '),
      ok: error === null || todo !== null,
      skip: reason(data.skip) ?? todo,
      durationMs: data.details.duration_ms,
      error: error && errorText(error),
    };
    yield `${JSON.stringify(finished)}\n`;
  }
}

// Node takes a CommonJS reporter from `module.exports` itself.
export = report;
