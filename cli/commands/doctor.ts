/** `aether doctor`: what is there, what is missing, what to do. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { CertificateView, ClusterStatus } from '../../core/model/views';
import { ADMIN_SOCKET } from '../../lab/declare';
import { withAdmin } from '../admin';
import { examples, withServer } from '../cli';
import type { AdminWay, Cli, ServerFlags } from '../cli';
import { examine } from '../doctor';
import type { Check } from '../doctor';
import { CliError, EXIT } from '../exit-codes';
import { plural, table } from '../output';
import type { Output } from '../output';
import { deadText } from '../show-status';
import { toldIfSlow } from '../slow';

export function registerDoctor(program: Command, cli: Cli): void {
  withServer(program.command('doctor'))
    .description(
      'look at kernel, privileges, versions and servers; say what is missing and what to do',
    )
    .addHelpText('after', examples('sudo aether doctor', 'aether doctor --lab demo'))
    .action(async (flags: ServerFlags) => {
      const looks = Promise.all([examine(cli.env), cluster(cli, flags)]);
      const [machine, running] = await toldIfSlow('Trying what the kernel can …', looks);
      const checks = [...machine, ...running];
      const lacking = checks.filter(({ state }) => state === 'missing');
      const out = cli.output(flags);
      out.result({ checks, missing: lacking.length }, () => render(checks, out));
      if (lacking.length > 0) process.exitCode = EXIT.failed;
    });
}

/** A controller need not run here; where one answers, or is asked for, its servers must. */
async function cluster(cli: Cli, flags: ServerFlags): Promise<Check[]> {
  try {
    const status = await withAdmin(cli, flags, (client) => client.status());
    return clusterChecks(status, Date.now());
  } catch (error) {
    if (!(error instanceof CliError) || error.exitCode === EXIT.usage) throw error;
    const { exitCode, message, hint } = error;
    const row = { group: 'servers', what: 'controller' } as const;
    if (exitCode !== EXIT.unreachable || isMeant(cli.adminWay(flags)))
      return [{ ...row, state: 'missing', found: message, todo: hint }];
    const todo = 'Start one, or a whole lab: aether lab up';
    return [{ ...row, state: 'absent', found: 'none answers here', todo }];
  }
}

/** One is asked for, or was here. */
const isMeant = (way: AdminWay): boolean =>
  way.kind === 'servers' || way.paths.some((path) => path !== ADMIN_SOCKET || existsSync(path));

export function clusterChecks(status: ClusterStatus, nowMs: number): Check[] {
  const group = 'servers';
  const { controller, version, etcd, temporal, certificates, controllers, dead = [] } = status;
  const row = (what: string, found: string, todo: string | null): Check => ({
    group,
    what,
    state: todo === null ? 'ok' : 'missing',
    found,
    todo,
  });
  const answers = (is: boolean, what: string, where: string, problem?: string | null): Check =>
    row(
      what,
      is ? `answers (${where})` : `does not answer (${problem ?? where})`,
      is ? null : `Look whether it runs and whether ${controller} can reach it`,
    );
  return [
    row('controller', `${controller} ${version}`, null),
    answers(etcd.ok, 'its etcd', etcd.endpoints.join(', '), etcd.problem),
    answers(temporal.ok, 'its Temporal', temporal.address),
    ...controllers
      .filter(({ heard }) => !heard)
      .map(({ id, adminAddress }) =>
        row(
          `controller ${id}`,
          `has a lease, and is not heard by ${controller}`,
          adminAddress === null
            ? 'Give it an AETHER_ADMIN_LISTEN'
            : `Look whether it hangs, and whether ${controller} can reach ${adminAddress}`,
        ),
      ),
    ...dead.map((each) =>
      row(
        `controller ${each.id}`,
        deadText(each, nowMs),
        'Look why it ended, and start it again; where it shall not come back, this is forgotten after a day',
      ),
    ),
    ...certificates.map((view) => certificateCheck(view, nowMs)),
  ];
}

/** Time to carry new ones to every host. */
const EXPIRES_SOON_MS = 14 * 86_400_000;

export function certificateCheck(view: CertificateView, nowMs = Date.now()): Check {
  const { what, expiresAtMs, authority, problem } = view;
  const until = new Date(expiresAtMs).toISOString().slice(0, 10);
  // What we show to Temporal and what we believe of it may be of two authorities: Temporal alone has to trust ours.
  const isForeign = authority === '' && what === 'temporal';
  const wrong =
    problem ??
    (authority === '' && !isForeign ? 'no authority that is trusted here has issued it' : null) ??
    (expiresAtMs < nowMs + EXPIRES_SOON_MS ? `ends on ${until}` : null);
  return {
    group: 'servers',
    what: `certificate (${what})`,
    state: wrong === null ? 'ok' : 'missing',
    found:
      wrong ?? `good until ${until}${isForeign ? ', of another authority than its server' : ''}`,
    todo: wrong === null ? null : 'See docs/runbooks/certificates.md',
  };
}

function render(checks: readonly Check[], out: Output): string {
  const { green, red, dim } = out.colours;
  const mark = { ok: green('ok'), missing: red('MISSING'), absent: dim('-') };
  const rows = checks.map(({ what, state, found, todo }) => [
    mark[state],
    what,
    found,
    todo === null ? '' : `→ ${todo}`,
  ]);
  const lacking = checks.filter(({ state }) => state === 'missing').length;
  const verdict = lacking === 0 ? 'Nothing is missing.' : `${plural(lacking, 'thing')} missing.`;
  return `${table(['', 'WHAT', 'FOUND', ''], rows)}\n\n${verdict}`;
}
