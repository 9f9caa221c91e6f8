/**
 * The edge agent as a process, all of it real but the kernel: its host is in memory. Told by IPC what
 * to break; answers each message with what the host looks like then.
 */
import type { ObservedHost } from '../../../core/model/host';
import { edgeConfig } from '../../config/edge';
import { startGuard } from '../../edge/guard';
import { installRuntime, TemporalWorker } from '../../edge/temporal';
import { MemoryHost } from '../../sim/memory-host';

export type SimCommand =
  | { do: 'observe' }
  | { do: 'deleteLink'; name: string }
  /** Null: it takes changes again. */
  | { do: 'refuse'; why: string | null };
export interface SimAnswer {
  observed: ObservedHost;
}

async function main(): Promise<void> {
  const host = new MemoryHost();
  const config = edgeConfig(process.env);
  const guard = await startGuard(config, host);
  installRuntime(guard.log);
  new TemporalWorker(config, guard).start();
  process.on('message', (command: SimCommand) => {
    if (command.do === 'deleteLink') host.deleteLink(command.name);
    if (command.do === 'refuse') host.refusing = command.why;
    const answer: SimAnswer = { observed: host.observed() };
    process.send?.(answer);
  });
  // With the test gone there is nobody left to serve.
  process.on('disconnect', () => process.exit(0));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
