/** What the exit code of `aether` says; documented in `aether --help`. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  invalid: 3,
  unreachable: 4,
  conflict: 5,
  changes: 6,
  notFound: 7,
  timeout: 8,
  forbidden: 9,
} as const;

export const EXIT_HELP = `Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  a resource is invalid; nothing was written
  4  the controller, the agent or a server can't be reached
  5  conflict: the state has changed meanwhile, or the verb is refused in this state
  6  there are changes, or a list would cut somebody off (with --exit-code only)
  7  there is no such node, lab or file
  8  not done within the time given (--wait)
  9  the certificate's role may not do this, or a certificate is not accepted`;

/** An end with an exit code of its own. `hint`: what to do. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    readonly exitCode: number,
    message: string,
    readonly hint: string | null = null,
    /** What `--json` prints beside the message. */
    readonly facts: object = {},
  ) {
    super(message);
  }
}
