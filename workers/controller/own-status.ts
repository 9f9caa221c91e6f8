/** What a controller says of itself. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_ADDRESS } from '../../adapters/temporal/raw';
import type { CertificateView, ClusterStatus } from '../../core/model/views';
import type { ControllerConfig } from '../config/controller';
import type { Shards } from './shards';

const { version } = JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')) as {
  version: string;
};

export const ownStatus = (
  { id, etcd, temporal, temporalUiUrl }: ControllerConfig,
  now: {
    shards: Pick<Shards, 'cluster' | 'owned'>;
    etcdUp: boolean;
    temporalUp: boolean;
    certificates: CertificateView[];
  },
): Omit<ClusterStatus, 'controllers' | 'nodes' | 'frozen'> => ({
  controller: id,
  version,
  clusterIncarnation: now.shards.cluster?.value.incarnation ?? 0,
  shardsOwned: now.shards.owned.length,
  etcd: { ok: now.etcdUp, endpoints: etcd.endpoints },
  temporal: {
    ok: now.temporalUp,
    address: temporal.connectionOptions.address ?? DEFAULT_ADDRESS,
    namespace: temporal.namespace,
    uiUrl: temporalUiUrl,
  },
  certificates: now.certificates,
});
