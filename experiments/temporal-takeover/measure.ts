/** How long a workflow stands still whose controller was killed inside one of its workflow tasks. */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runOptions } from '../../adapters/temporal/client';
import { connectTemporal, type TemporalLink } from '../../adapters/temporal/connection';
import { createWorkflowWorker } from '../../adapters/temporal/workers';
import { DevServer } from '../../workflows/testing/dev-server';
import { quiet } from '../../workflows/testing/house';
import { ROOT } from '../../lab/tools';
import type { Figure } from '../common/figures';
import { BUNDLE } from './victim';

const BUNDLER = join(ROOT, 'dist/scripts/bundle-workflows.js');

const RUNS = 15;
const SMOKE_RUNS = 2;
/** The kills fall evenly over the life of a workflow task, which is prolonged at four fifths of its timeout. */
const SPREAD_MS = 1_600;

export async function measure(smoke: boolean): Promise<Figure[]> {
  quiet();
  // As it is now, once a checkout.
  if (!existsSync(BUNDLE)) execFileSync(process.execPath, [BUNDLER]);
  const server = await DevServer.start();
  try {
    const link = await connectTemporal(
      { connectionOptions: { address: server.address } },
      'survivor',
    );
    try {
      const runs = smoke ? SMOKE_RUNS : RUNS;
      const samples: number[] = [];
      for (let i = 0; i < runs; i++) {
        samples.push(await takeover(server.address, link, i, (i / runs) * SPREAD_MS));
      }
      return [
        {
          claim:
            'SIGKILL of a controller inside a workflow task → the workflow goes on at another: worst',
          unit: 'ms',
          bar: { measure: 'max', atMost: 2_500 },
          samples,
          peer: null,
        },
      ];
    } finally {
      await link.connection.close();
    }
  } finally {
    await server.stop();
  }
}

/** Ms from the kill, `afterMs` after the victim came into the task, to the survivor's first act for the workflow. */
async function takeover(
  address: string,
  link: TemporalLink,
  run: number,
  afterMs: number,
): Promise<number> {
  const victim = fork(join(__dirname, 'victim.js'), [address]);
  try {
    await said(victim, 'ready');
    const inside = said(victim, 'inside');
    const handle = await link.client.workflow.start('auditNodes', {
      ...runOptions(`audit-${run}`, 'A workflow whose controller dies', []),
      args: [],
    });
    await inside;
    let wentOn = (): void => undefined;
    const goesOn = new Promise<void>((resolve) => (wentOn = resolve));
    const survivor = await createWorkflowWorker(link, 'survivor', BUNDLE, {
      shardsWithNodes: () => (wentOn(), Promise.resolve([])),
    });
    return await survivor.runUntil(async () => {
      await delay(afterMs);
      const killedAt = performance.now();
      victim.kill('SIGKILL');
      await goesOn;
      const tookMs = performance.now() - killedAt;
      await handle.result();
      return tookMs;
    });
  } finally {
    victim.kill('SIGKILL');
  }
}

async function said(child: ReturnType<typeof fork>, wanted: string): Promise<void> {
  for (;;) {
    const [word] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => {
        throw new Error('the victim ended by itself');
      }),
    ])) as [string];
    if (word === wanted) return;
  }
}
