/** What nothing shall ever block, whatever a spec says: the way to this controller. */
import { networkInterfaces } from 'node:os';
import {
  isLinkLocal,
  overlaps,
  parseAddress,
  parsePrefix,
  type Prefix,
} from '../../core/model/prefix';

/** Prefixes of the addresses of this host; each edge adds those of all its controllers by itself. */
export const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).flatMap(({ internal, address }) => {
      const parsed = parseAddress(address);
      if (internal || parsed === null || isLinkLocal(parsed)) return [];
      return [`${address}/${parsed.family === 4 ? 32 : 128}`];
    }),
  );

/** The own address that `prefix` has, or null. */
export const ownAddressIn = (prefix: Prefix): string | null =>
  ownAddresses().find((own) => {
    const parsed = parsePrefix(own);
    return parsed !== null && overlaps(prefix, parsed);
  }) ?? null;
