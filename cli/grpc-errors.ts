/** What went wrong between the CLI and a server, as an exit code and advice. */
import { status } from '@grpc/grpc-js';
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
};

/** Translates the answer of a controller; leaves what is none as it is. */
export function adminError(error: unknown, where: string, hint: string): unknown {
  const code = statusOf(error);
  if (code === null) return error;
  const exitCode = EXIT_OF[code] ?? EXIT.failed;
  if (exitCode === EXIT.unreachable) {
    return new CliError(exitCode, `No controller answers on ${where}: ${details(error)}`, hint);
  }
  return new CliError(exitCode, details(error));
}
