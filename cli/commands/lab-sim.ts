/** `aether lab`, as far as it is about simulated edges. */
import type { Command } from 'commander';
import { SIM_EDGES_MAX, drift } from '../../lab/sim';
import type { SimStatus } from '../../lab/sim';
import { examples, wholeNumber } from '../cli';
import type { Cli } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { needRoot, openLab, withLab } from '../lab';
import type { LabFlags } from '../lab';
import { plural } from '../output';

export function registerFault(lab: Command, cli: Cli): void {
  const fault = lab.command('fault').description('break simulated edges, many at once');
  withLab(fault.command('drift'))
    .description('delete a link on simulated edges, all at the same moment')
    .requiredOption('--sim <n>', 'how many of them', wholeNumber(1, SIM_EDGES_MAX))
    .addHelpText('after', examples('aether lab fault drift --sim 500', 'aether lab status'))
    .action(async (flags: LabFlags & { sim: number }) => {
      needRoot('aether lab fault drift');
      const lab = openLab(flags);
      const status = await drift(lab, flags.sim);
      if (status === null) {
        const hint = 'Bring one up with them: aether lab up --sim-edges 50';
        throw new CliError(EXIT.failed, 'This lab has no simulated edges', hint);
      }
      const { edges } = status.drift;
      cli.output(flags).result({ edges }, () => `A link is gone on ${plural(edges, 'edge')}.`);
    });
}

export function simulatedLines({
  edges,
  connected,
  polling,
  settled,
  incidents,
  ...of
}: SimStatus): string[] {
  const { drift: broken, phases, controllers } = of;
  const counts = (named: Record<string, number>): string =>
    Object.entries(named)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${name || 'no spec'} ${count}`)
      .join(', ');
  const { workflow, agent } = broken.repaired;
  return [
    `Simulated edges  ${edges}: ${connected} connected (${counts(controllers)}), ${polling} poll`,
    `Their phases     ${counts(phases)}; ${settled} as they should be, ${incidents} differ`,
    ...(broken.atMs === null
      ? []
      : [
          `The last drift   ${broken.edges}: ${broken.over} over, ${workflow} by workflows, ${agent} by agents`,
        ]),
  ];
}
