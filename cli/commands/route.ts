/** `aether drain`, `undrain`, `failover`, `quarantine`: traffic moved by workflows, step by step. */
import type { Command } from 'commander';
import type { RouteOrder, RouteVerb } from '../../adapters/admin/proto';
import type { RouteProgress } from '../../core/model/views';
import { withAdmin } from '../admin';
import { durationOf, examples, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { follow, restOf } from '../follow-route';
import { progressText } from '../show-route';

interface RouteFlags extends ServerFlags {
  reason: string;
  wait?: boolean;
  timeout: string;
  force?: boolean;
  region?: string;
  from?: string;
  to?: string;
  for?: string;
  release?: boolean;
  back?: boolean;
}

const NOTHING: Omit<RouteOrder, 'verb' | 'reason'> = {
  node: null,
  service: null,
  from: null,
  to: null,
  force: false,
  forMs: 0,
};

const withRoute = (command: Command): Command =>
  withServer(command)
    .option('--reason <text>', 'why; shown in describe, histories and audit lines', 'by hand')
    .option('--wait', 'until it is done, with each step and its evidence')
    .option('--timeout <duration>', 'how long to wait', '10m');

export function registerRoute(program: Command, cli: Cli): void {
  withRoute(program.command('drain'))
    .description('move traffic away without losing a packet: from a node, or of a service')
    .argument('<what>', 'a node, or service/NAME')
    .option('--region <region>', 'of a service: only there')
    .option('--force', 'also below the floor of announcers')
    .addHelpText(
      'after',
      examples(
        'aether drain fra-1 --reason "kernel update" --wait',
        'aether drain service/dns --region fra',
      ),
    )
    .action((what: string, flags: RouteFlags) => route(cli, flags, drained('drain', what, flags)));

  withRoute(program.command('undrain'))
    .description('let traffic come back')
    .argument('<what>', 'a node, or service/NAME')
    .option('--region <region>', 'of a service: only there')
    .option('--force', 'also where upstreams may damp what comes back so soon')
    .addHelpText('after', examples('aether undrain fra-1 --wait'))
    .action((what: string, flags: RouteFlags) =>
      route(cli, flags, drained('undrain', what, flags)),
    );

  withRoute(program.command('failover'))
    .description('move a service from a region to another one, which announces first')
    .argument('<service>')
    .option('--from <region>', 'the region that it leaves')
    .option('--to <region>', 'the region that takes it')
    .option('--back', 'what was moved returns now, in stages')
    .option('--force', 'also without headroom, and below the floor')
    .addHelpText(
      'after',
      examples(
        'aether failover dns --from fra --to ams --wait',
        'aether failover dns --back --wait',
      ),
    )
    .action((service: string, flags: RouteFlags) => route(cli, flags, failedOver(service, flags)));

  withRoute(program.command('quarantine'))
    .description('keep a node from taking traffic for a while, or release it')
    .argument('<node>')
    .option('--for <duration>', 'how long', '1h')
    .option('--release', 'release it now, by hand')
    .addHelpText(
      'after',
      examples(
        'aether quarantine fra-1 --for 2h --reason "flapping"',
        'aether quarantine fra-1 --release',
      ),
    )
    .action((node: string, flags: RouteFlags) => {
      const verb = flags.release ? 'release' : 'quarantine';
      const forMs = flags.release ? 0 : durationOf(flags.for ?? '1h');
      return route(cli, flags, { ...NOTHING, verb, node, reason: flags.reason, forMs });
    });
}

function drained(verb: 'drain' | 'undrain', what: string, flags: RouteFlags): RouteOrder {
  const { reason, force = false, region } = flags;
  const [, service] = /^services?\/(.+)$/.exec(what) ?? [];
  if (service !== undefined) {
    return { ...NOTHING, verb, service, from: region ?? null, reason, force };
  }
  if (region === undefined) return { ...NOTHING, verb, node: what, reason, force };
  const hint = `For a service: aether ${verb} service/${what} --region ${region}`;
  throw new CliError(EXIT.usage, 'A node is in one region only', hint);
}

function failedOver(service: string, flags: RouteFlags): RouteOrder {
  const { reason, from, to, back = false, force = false } = flags;
  const moves = from !== undefined && to !== undefined;
  if (back ? from === undefined && to === undefined : moves) {
    if (back && force) {
      throw new CliError(EXIT.usage, '--back takes no --force', 'It returns in stages, by proofs.');
    }
    if (back) return { ...NOTHING, verb: 'failBack', service, reason };
    return {
      ...NOTHING,
      verb: 'failover',
      service,
      from: from ?? null,
      to: to ?? null,
      reason,
      force,
    };
  }
  throw new CliError(
    EXIT.usage,
    'A failover has --from and --to, or --back alone',
    `aether failover ${service} --from REGION --to REGION`,
  );
}

async function route(cli: Cli, flags: RouteFlags, order: RouteOrder): Promise<void> {
  const out = cli.output(flags);
  const timeoutMs = durationOf(flags.timeout);
  const found = await withAdmin(cli, flags, async (client, look) => {
    const { workflowId, started } = await client.route(order);
    out.progress(started ? `workflow ${workflowId}` : `told the workflow ${workflowId}`);
    return follow(
      look,
      workflowId,
      { wait: flags.wait ?? false, timeoutMs, verb: order.verb },
      out,
    );
  });
  out.result(found, () => progressText(found, out, Date.now()));
  const code = exitOf(found, order.verb, flags.wait ?? false);
  if (code === EXIT.conflict && found.failure === null) {
    out.progress('It came to another end than you asked for: somebody else had the last word.');
  }
  process.exitCode = code;
}

/** An end that is another one than was asked for: somebody else was at work, and had the last word. */
const OTHERWISE: Partial<Record<RouteVerb, string>> = {
  drain: 'undrained',
  quarantine: 'superseded',
};

/** Refusals are conflicts: in another state the same verb may pass. */
export function exitOf(found: RouteProgress, verb: RouteVerb, waited: boolean): number {
  const { status, failure, result } = found;
  if (failure !== null) return failure.code === null ? EXIT.failed : EXIT.conflict;
  const { outcome = '' } = (result ?? {}) as { outcome?: string };
  if (status === 'COMPLETED') return OTHERWISE[verb] === outcome ? EXIT.conflict : EXIT.ok;
  if (status !== 'RUNNING') return EXIT.failed;
  if (!waited) return EXIT.ok;
  const at = restOf(found, verb);
  if (at === null) return EXIT.timeout;
  return at === 'done' ? EXIT.ok : EXIT.failed;
}
