/** What the agent's own socket can ask for. */
import type { EdgeLocalPort } from '../../adapters/edge-local/server';
import type { Agent } from './agent';
import { clockMs } from './clock';
import type { AgentFiles } from './files';

export const localPort = (agent: () => Agent, files: AgentFiles): EdgeLocalPort => ({
  status: () => agent().status(),
  async freeze(forMs, reason) {
    const untilMs = forMs === 0 ? null : clockMs() + forMs;
    agent().put({ kind: 'localFreeze', untilMs, reason });
    // Whether it survives a restart is in the answer's problems.
    await files.flushed();
    return agent().status();
  },
  async unfreeze() {
    agent().put({ kind: 'localUnfreeze' });
    await files.flushed();
    return agent().status();
  },
});
