/**
 * The agent without its Temporal worker, over a host that kills the process (SIGKILL): right after
 * its first step has taken effect and before that is on record (CUT=after), or right before its
 * second one, when that is on record as intended (CUT=before). Steps are run one at a time, so that
 * every single one is a place to die.
 */
import { openHost } from '../../../adapters/native/host';
import type { HostPort, Step, StepResult } from '../../../core/model/host';
import { edgeConfig } from '../../config/edge';
import { startGuard } from '../../edge/guard';

const config = edgeConfig(process.env);

async function crashingHost(cut: 'after' | 'before'): Promise<HostPort> {
  const host = await openHost(undefined, config.stateDirectory);
  const die = (): boolean => process.kill(process.pid, 'SIGKILL');
  let done = 0;
  const applyAll = async (steps: readonly Step[]): Promise<StepResult[]> => {
    const results: StepResult[] = [];
    for (const step of steps) {
      if (cut === 'before' && done === 1) die();
      results.push(...(await host.applyAll([step])));
      done += 1;
      if (cut === 'after') die();
    }
    return results;
  };
  return {
    applyAll,
    observe: (scope) => host.observe(scope),
    setFilters: (wanted) => host.setFilters(wanted),
    ask: (question) => host.ask(question),
    watch: (scope, onEvent) => host.watch(scope, onEvent),
    close: () => host.close(),
    filterTag: host.filterTag,
  };
}

const cut = process.env['CUT'] === 'before' ? 'before' : 'after';
void crashingHost(cut).then((host) => startGuard(config, host));
