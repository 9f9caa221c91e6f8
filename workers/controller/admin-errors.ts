/** What verbs of the admin API refuse before they do anything. */
import { AdminError } from '../../adapters/admin/proto';
import { EtcdError } from '../../adapters/etcd/errors';
import { refusalIn } from '../../core/model/errors';
import type { NodeName } from '../../core/model/ids';
import { type Kind, isKind, KIND_NAMES, wordOf } from '../../core/model/resources';
import type { DesiredState } from './desired';
import { UnreadableKey } from './desired-keys';

/**
 * A verb that tells what is out of reach as UNAVAILABLE, what may have been done or not as UNKNOWN, and what can't be done
 * now as such.
 */
export function guarded<Q, R>(verb: (request: Q, by: string) => Promise<R>) {
  return async (request: Q, by: string): Promise<R> => {
    try {
      return await verb(request, by);
    } catch (error) {
      const refusal = refusalIn(error);
      if (refusal) throw new AdminError({ code: 'precondition', message: refusal.message });
      if (error instanceof UnreadableKey) {
        throw new AdminError({ code: 'precondition', message: error.message });
      }
      if (!(error instanceof EtcdError)) throw error;
      const code = error.failure.changed === null ? 'unknown' : 'unavailable';
      throw new AdminError({ code, message: error.message });
    }
  };
}

export const refused = (message: string): AdminError =>
  new AdminError({ code: 'precondition', message });

export const notFound = (kind: Kind, name: NodeName): AdminError =>
  new AdminError({ code: 'notFound', message: `There is no ${wordOf(kind)} ${name}.` });

export function kindNamed(kind: string): Kind {
  if (isKind(kind)) return kind;
  const message = `"${kind}" is no kind of resource; there are ${KIND_NAMES.join(', ')}.`;
  throw new AdminError({ code: 'notFound', message });
}

export function assertRead(desired: DesiredState): void {
  if (desired.ready) return;
  const message = 'etcd was not in reach since this controller started; nothing is known yet.';
  throw new AdminError({ code: 'unavailable', message });
}
