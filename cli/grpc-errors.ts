/** What went wrong between the CLI and a server, as an exit code and advice. */
import { type Metadata, status } from '@grpc/grpc-js';
import { plainWords } from '../adapters/grpc/service';
import { CliError, EXIT } from './exit-codes';

/** The gRPC status of an error; null where it is no answer of a server at all. */
export function statusOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('code' in error) || !('details' in error)) return null;
  return typeof error.code === 'number' ? error.code : null;
}

/** Without what grpc-js wraps around the error of the socket. */
export const details = (error: unknown): string =>
  plainWords((error as { details: string }).details);

const EXIT_OF: Partial<Record<number, number>> = {
  [status.INVALID_ARGUMENT]: EXIT.invalid,
  [status.ABORTED]: EXIT.conflict,
  [status.FAILED_PRECONDITION]: EXIT.conflict,
  [status.NOT_FOUND]: EXIT.notFound,
  [status.PERMISSION_DENIED]: EXIT.forbidden,
  [status.UNAVAILABLE]: EXIT.unreachable,
  [status.DEADLINE_EXCEEDED]: EXIT.unreachable,
  // It has no answer of its own from somebody whom it asked, and says that it may have been done.
  [status.UNKNOWN]: EXIT.unreachable,
  // We cancel nothing: it ends what it is at when it stops.
  [status.CANCELLED]: EXIT.unreachable,
};

/** A server said it, and no channel on this side: what it says comes with headers. */
const isAnswer = (error: unknown): boolean =>
  Object.keys((error as { metadata?: Metadata }).metadata?.getMap() ?? {}).length > 0;

/** No connection came about, so nothing was asked. */
const NEVER_SENT = /^(connect|getaddrinfo) |^Name resolution failed/;

/** Translates the answer of a controller; leaves what is none as it is. */
export function adminError(error: unknown, where: string, hint: string): unknown {
  const code = statusOf(error);
  if (code === null) return error;
  const exitCode = EXIT_OF[code] ?? EXIT.failed;
  const said = details(error);
  if (code === status.UNIMPLEMENTED) {
    const message = `What answers on ${where} does not know what it was asked: ${said}`;
    const todo =
      'Is it the port of the admin API (AETHER_ADMIN_LISTEN, 7702; edges have 7700), and no controller of an older version?';
    return new CliError(EXIT.failed, message, todo);
  }
  // It answers, and lacks something that it needs itself: it has said what.
  if (exitCode !== EXIT.unreachable || isAnswer(error)) return new CliError(exitCode, said);
  const effect = NEVER_SENT.test(said)
    ? ''
    : '; what was asked of it may have been done, or be done yet: look before you ask again';
  return new CliError(exitCode, `No controller answers on ${where}: ${said}${effect}`, hint);
}
