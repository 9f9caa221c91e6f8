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

export type OwnStatus = Omit<ClusterStatus, 'controllers' | 'dead' | 'nodes' | 'frozen'>;

export const ownStatus = (
  { id, etcd, temporal, temporalUiUrl }: ControllerConfig,
  now: {
    shards: Pick<Shards, 'cluster' | 'owned'>;
    /** Null: what is known of etcd is fresh. */
    etcdProblem: string | null;
    temporalUp: boolean;
    certificates: CertificateView[];
  },
): OwnStatus => ({
  controller: id,
  version,
  clusterIncarnation: now.shards.cluster?.value.incarnation ?? 0,
  shardsOwned: now.shards.owned.length,
  etcd: {
    ok: now.etcdProblem === null,
    endpoints: etcd.endpoints,
    problem: now.etcdProblem,
  },
  temporal: {
    ok: now.temporalUp,
    address: temporal.connectionOptions.address ?? DEFAULT_ADDRESS,
    namespace: temporal.namespace,
    uiUrl: temporalUiUrl,
  },
  certificates: now.certificates,
});
