/** `aether doctor`: what is there, what is missing, what to do. */
import type { Command } from 'commander';
import { withAdmin } from '../admin';
import { withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import type { CertificateView } from '../../core/model/views';
import { examine } from '../doctor';
import type { Check } from '../doctor';
import { CliError, EXIT } from '../exit-codes';
import { plural, table } from '../output';
import type { Output } from '../output';
import { toldIfSlow } from '../slow';
import { toolsOption } from './lab';

export function registerDoctor(program: Command, cli: Cli): void {
  withServer(program.command('doctor'))
    .description(
      'look at kernel, privileges, versions and servers; say what is missing and what to do',
    )
    .action(async (flags: ServerFlags) => {
      const looks = Promise.all([examine(toolsOption(cli).toolsDirectory), cluster(cli, flags)]);
      const [machine, running] = await toldIfSlow('Trying what the kernel can …', looks);
      const checks = [...machine, ...running];
      const lacking = checks.filter(({ state }) => state === 'missing');
      const out = cli.output(flags);
      out.result({ checks, missing: lacking.length }, () => render(checks, out));
      if (lacking.length > 0) process.exitCode = EXIT.failed;
    });
}

/** A controller need not run here; where one answers, its servers must. */
async function cluster(cli: Cli, flags: ServerFlags): Promise<Check[]> {
  const group = 'servers';
  try {
    const { controller, version, etcd, temporal, certificates } = await withAdmin(
      cli,
      flags,
      (client) => client.status(),
    );
    const answers = (is: boolean, what: string, where: string): Check => ({
      group,
      what,
      state: is ? 'ok' : 'missing',
      found: is ? `answers (${where})` : `does not answer (${where})`,
      todo: is ? null : `Look whether it runs and whether ${controller} can reach it`,
    });
    return [
      { group, what: 'controller', state: 'ok', found: `${controller} ${version}`, todo: null },
      answers(etcd.ok, 'its etcd', etcd.endpoints.join(', ')),
      answers(temporal.ok, 'its Temporal', temporal.address),
      ...certificates.map(certificateCheck),
    ];
  } catch (error) {
    if (!(error instanceof CliError) || error.exitCode !== EXIT.unreachable) throw error;
    const todo = 'Start one, or a whole lab: aether lab up';
    return [{ group, what: 'controller', state: 'absent', found: 'none answers here', todo }];
  }
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
