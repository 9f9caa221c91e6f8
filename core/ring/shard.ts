/** Which virtual shard a node belongs to: fixed for the life of a cluster (design §3). */
import { utf8 } from '../model/hash';
import { SHARD_COUNT, type NodeName } from '../model/ids';
import { murmur3, murmur3Ascii } from './murmur3';

/** Shard of a node, 0 … SHARD_COUNT − 1. */
export const shardOf = (node: NodeName): number =>
  (murmur3Ascii(node) ?? murmur3(utf8(node))) % SHARD_COUNT;
