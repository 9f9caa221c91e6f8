/** Between the words of `port.ts` and those of etcd's rpc.proto, as the etcd3 package types them. */
import type { ICompare, IKeyValue, IRangeResponse, IRequestOp, ITxnResponse } from 'etcd3';
import type { Change, Condition, KeyRange, KeyValue } from './port';

/** etcd's int64 arrive as decimal strings; never round one silently. */
export function revisionOf(decimal: string): number {
  const revision = Number(decimal);
  if (!Number.isSafeInteger(revision) || revision < 0) {
    throw new RangeError(`not a revision: ${JSON.stringify(decimal)}`);
  }
  return revision;
}

export const keyValueOf = (kv: IKeyValue): KeyValue => ({
  key: kv.key.toString(),
  value: kv.value,
  createRevision: revisionOf(kv.create_revision),
  modRevision: revisionOf(kv.mod_revision),
  version: revisionOf(kv.version),
  leaseId: kv.lease === '0' ? null : kv.lease,
});

/** The first key after all that begin with `prefix` (etcd's clientv3 GetPrefixRangeEnd). */
export function prefixEnd(prefix: Buffer): Buffer {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return Buffer.from([0]); // no end: all keys from `prefix` on
  const end = Buffer.from(prefix.subarray(0, length));
  end.writeUInt8(end.readUInt8(length - 1) + 1, length - 1);
  return end;
}

export function boundsOf(range: KeyRange): { key: Buffer; range_end?: Buffer } {
  if ('key' in range) return { key: Buffer.from(range.key) };
  const key = Buffer.from(range.prefix);
  return { key, range_end: prefixEnd(key) };
}

export const compareOf = ({ key, field, equals }: Condition): ICompare => ({
  key: Buffer.from(key),
  result: 'Equal',
  ...(field === 'createRevision'
    ? { target: 'Create', create_revision: equals }
    : { target: 'Mod', mod_revision: equals }),
});

export function requestOf(change: Change): IRequestOp {
  const key = Buffer.from(change.key);
  if (change.op === 'delete') return { request_delete_range: { key } };
  return {
    request_put: { key, value: Buffer.from(change.value), lease: change.leaseId ?? 0 },
  };
}

/** The reads among a transaction's answers, flattened. */
export const readsOf = (response: ITxnResponse): KeyValue[] =>
  response.responses.flatMap((op) => {
    const range: IRangeResponse | null = op.response_range;
    return range ? range.kvs.map(keyValueOf) : [];
  });
