/** Which end of an agent is a crash: what its next life tells of it, by real processes and signals. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../adapters/native/test-support';
import type { RoutingMemory } from '../../core/announce/decide';
import { cannotRun } from '../../lab/routers';
import { PATIENCE_MS, routedSpec, RoutingHost, webService } from './testing/routing-host';
import type { TestAgent } from './testing/test-host';

const skip = cannotRun('bird');

test(
  'an agent that is killed has crashed; one that is told to stop, or goes with its host, has not',
  { skip },
  async (t) => {
    const edge = await RoutingHost.create(t);
    await edge.host.accept(routedSpec(5, [webService()]));
    const crashes = async (): Promise<number> =>
      (await edge.kept()).filter(({ kind }) => kind === 'agentCrash').length;
    /** Another life, until what it made of the former one is on its disk. */
    const begin = async (
      what: string,
      isWritten: (memory: RoutingMemory) => boolean,
    ): Promise<TestAgent> => {
      const agent = edge.startAgent();
      await agent.until('it answers', () => true, PATIENCE_MS);
      const written = async (): Promise<boolean> => {
        const memory = await edge.memory();
        return memory !== null && memory.running && isWritten(memory);
      };
      await waitFor(what, written, PATIENCE_MS);
      return agent;
    };
    const events = ({ outbox }: RoutingMemory): number => outbox.unsent.length;

    const first = await begin('the first start', () => true);
    assert.equal(await crashes(), 0);
    await first.kill();
    const second = await begin('one crash', (memory) => events(memory) > 0);
    assert.equal(await crashes(), 1);
    // At once: it may not even have loaded all of itself.
    second.child.kill('SIGTERM');
    assert.equal(await second.exited, 0);
    assert.equal((await edge.memory())?.running, false);
    const third = await begin('after a stop', () => true);
    assert.equal(await crashes(), 1);
    await third.kill();
    const { bootId = '' } = (await edge.memory()) ?? {};
    edge.reboot();
    const fourth = await begin('after a boot', (memory) => memory.bootId !== bootId);
    assert.equal(await crashes(), 1);
    await fourth.kill();
    await begin('another crash', (memory) => events(memory) > 1);
    assert.equal(await crashes(), 2);
  },
);
