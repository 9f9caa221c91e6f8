/** A lab for one experiment, taken down whatever happens, also when a person interrupts. */
import type { NodeResource } from '../../core/model/node';
import { TestLab } from '../../lab/testing';

const INTERRUPTED_STATUS = 130;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export async function withLab<T>(
  nodes: readonly NodeResource[],
  size: NonNullable<Parameters<typeof TestLab.up>[1]>,
  work: (lab: TestLab) => Promise<T>,
): Promise<T> {
  let lab: TestLab | null = null;
  let ending: Promise<void> | undefined;
  let isInterrupted = false;
  const end = (): Promise<void> => (ending ??= lab?.end() ?? Promise.resolve());
  const interrupt = (): void => {
    isInterrupted = true;
    // A lab that is half up is taken down once it stands: see below.
    if (lab !== null) void end().finally(() => process.exit(INTERRUPTED_STATUS));
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  try {
    lab = await TestLab.up(nodes, size);
    if (isInterrupted) throw new Error('Interrupted');
    return await work(lab);
  } finally {
    await end();
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}
