/** Who is compared, in the order in which it is shown. */
import { AETHER } from './aether';
import { COUNT_DROP, COUNT_PASS, NOTHING, XDP_DROP } from './bare';
import type { Filter } from './filter';
import { IPSET, IPTABLES_LEGACY, IPTABLES_NFT, NFT_HASH, NFT_INTERVAL } from './netfilter';
import { XDP_FILTER } from './xdp-filter';

export const FILTERS: readonly Filter[] = [
  NOTHING,
  XDP_DROP,
  COUNT_DROP,
  COUNT_PASS,
  AETHER,
  XDP_FILTER,
  IPTABLES_LEGACY,
  IPTABLES_NFT,
  IPSET,
  NFT_HASH,
  NFT_INTERVAL,
];
