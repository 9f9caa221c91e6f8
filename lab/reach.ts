/** The service of a lab's edges, asked by its client. */
import type { Lab } from './lab';
import { CLIENT } from './topology';

const TIMEOUT_MS = 1_000;
/** Prints the body of one answer; nothing where there is none in time. */
const ASK = `const { get } = require('node:http');
const [host, timeout] = process.argv.slice(1);
get({ host, agent: false, timeout: Number(timeout) }, (answer) => answer.pipe(process.stdout))
  .on('timeout', function () { this.destroy(); }).on('error', () => undefined);`;

/** Name of the node that answers there; null: nobody does within a second. */
export async function servedBy(lab: Lab, address: string): Promise<string | null> {
  const argv = [process.execPath, '-e', ASK, '--', address, String(TIMEOUT_MS)];
  const name = (await lab.must(CLIENT, argv)).trim();
  return name === '' ? null : name;
}
