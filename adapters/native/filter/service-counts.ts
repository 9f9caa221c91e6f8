/** What passed to each service address of one interface: `services4` and `services6`, one entry an address. */
import { SERVICES_MAX } from '../../../core/filter/contents';
import { AF } from '../../../core/netlink/consts';
import { addressBytes, formatAddress } from '../../../core/netlink/ip';
import type { BpfMap } from '../native';
import { decodeCounter, type Counter } from './abi';

const BPF_NOEXIST = 1;

export class ServiceCounts {
  constructor(
    private readonly v4: BpfMap,
    private readonly v6: BpfMap,
  ) {}

  /** Those that are counted already go on. */
  add(addresses: readonly string[]): void {
    const there = new Set(this.addresses());
    for (const address of addresses) {
      if (there.has(address)) continue;
      const map = this.mapOf(address);
      map.update(keyOf(address), Buffer.alloc(map.info.valueSize), BPF_NOEXIST);
    }
  }

  keepOnly(addresses: readonly string[]): void {
    const wanted = new Set(addresses);
    for (const address of this.addresses()) {
      if (!wanted.has(address)) this.mapOf(address).delete(keyOf(address));
    }
  }

  areOnly(addresses: readonly string[]): boolean {
    const there = new Set(this.addresses());
    return there.size === addresses.length && addresses.every((address) => there.has(address));
  }

  /** Null: it is not counted here. */
  read(address: string): Counter | null {
    const map = this.mapOf(address);
    const perCpu = Buffer.alloc(map.info.valueSize);
    return map.lookup(keyOf(address), perCpu) ? decodeCounter(perCpu) : null;
  }

  private addresses(): string[] {
    return [this.v4, this.v6].flatMap((map) => {
      const { keySize } = map.info;
      const family = keySize === 4 ? AF.INET : AF.INET6;
      const keys = new Uint8Array(keySize * SERVICES_MAX);
      return Array.from({ length: map.keys(null, keys) }, (_, i) =>
        formatAddress(family, keys, i * keySize, (i + 1) * keySize),
      );
    });
  }

  private mapOf(address: string): BpfMap {
    return address.includes(':') ? this.v6 : this.v4;
  }
}

const keyOf = (address: string): Uint8Array => {
  const parsed = addressBytes(address);
  if (!parsed) throw new TypeError(`not an address: ${address}`);
  return parsed.bytes;
};
