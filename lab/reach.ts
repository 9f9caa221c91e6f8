/**
 * The service of a lab's edges, asked by its client. As a program, within the client's namespaces: prints
 * the body of one answer; nothing where there is none in time. Argument: the address.
 */
import { get } from 'node:http';
import type { Lab } from './lab';
import { CLIENT } from './topology';

const TIMEOUT_MS = 1_000;

/** Name of the node that answers there; null: nobody does within a second. */
export async function servedBy(lab: Lab, address: string): Promise<string | null> {
  const name = (await lab.must(CLIENT, [process.execPath, __filename, address])).trim();
  return name === '' ? null : name;
}

function ask(host: string): void {
  const request = get({ host, agent: false, timeout: TIMEOUT_MS }, (answer) => {
    answer.pipe(process.stdout);
  });
  request.on('timeout', () => request.destroy());
  request.on('error', () => undefined);
}

if (require.main === module) ask(process.argv[2] ?? '');
