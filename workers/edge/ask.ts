/** A question about the filters as it comes off a wire, and its answer as it goes back. */
import { Refused } from '../../adapters/edge-local/server';
import { readQuestion } from '../../core/filter/questions';
import type { FilterPort } from '../../core/model/host';

/** JSON of FilterQuestion → JSON of FilterAnswer. Rejects with Refused where it is no question. */
export async function askFilter(host: FilterPort, questionJson: Uint8Array): Promise<Buffer> {
  const question = readQuestion(Buffer.from(questionJson).toString());
  if (question === null) throw new Refused('that is no question about filters');
  return Buffer.from(JSON.stringify(await host.ask(question)));
}
