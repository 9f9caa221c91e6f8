/** Discriminators of Seamless BFD: nobody has to tell them (decision 0140). */
import { parseAddress } from '../model/prefix';
import { murmur3 } from '../ring/murmur3';

const IPV6_BYTES = 16;

/**
 * What a packet to the reflector at `address` carries as Your Discriminator: of IPv4 the address as a number,
 * of IPv6 a hash of its bytes; never 0. TypeError: it is no address.
 */
export function reflectorDiscriminator(address: string): number {
  const parsed = parseAddress(address);
  if (parsed === null) throw new TypeError(`not an address: ${address}`);
  if (parsed.family === 4) return Number(parsed.bits);
  const bytes = Uint8Array.from({ length: IPV6_BYTES }, (_, i) =>
    Number((parsed.bits >> BigInt(8 * (IPV6_BYTES - 1 - i))) & 0xffn),
  );
  return murmur3(bytes) || 1;
}
