/** Routing with its adapters: the bfd process and gobgpd of this host, by their sockets. */
import { readFileSync } from 'node:fs';
import type { Up } from '../../adapters/edge-stream/proto';
import { GobgpClient } from '../../adapters/gobgp/client';
import type { Logger } from '../../adapters/telemetry/logger';
import type { RoutingMemory } from '../../core/announce/decide';
import type { RoutingStatus } from '../../core/model/routing';
import type { EdgeConfig } from '../config/edge';
import { BgpKeeper } from './bgp-keeper';
import type { AgentFiles } from './files';
import type { FilterWork } from './filter-work';
import type { HostWork } from './host-work';
import type { EdgeMetrics } from './metrics';
import { Routing, type BgpWork } from './routing';
import { routingMetrics } from './routing-metrics';

export interface RoutingHands {
  files: AgentFiles;
  filterWork: FilterWork;
  hostWork: HostWork;
  log: Logger;
  metrics: EdgeMetrics;
}

export const openRouting = (
  { bfdSocket, gobgpSocket, secretsDirectory, leaseGraceMs }: EdgeConfig,
  { files, filterWork, hostWork, log, metrics }: RoutingHands,
  remembered: RoutingMemory,
  send: (message: Up) => boolean,
): Routing =>
  new Routing(
    {
      bfdSocket,
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      graceMs: leaseGraceMs,
      openBgp: (onChange, onSession): BgpWork => {
        const port = new GobgpClient(gobgpSocket);
        const keeper = new BgpKeeper({ port, secretsDirectory, log, onChange, onSession });
        return {
          set: (spec, exportPrefixes) => keeper.set(spec, exportPrefixes),
          views: () => keeper.views(),
          problem: () => keeper.problem(),
          close: () => {
            keeper.close();
            port.close();
          },
        };
      },
      prove: (spec) => hostWork.prove(spec),
      filters: () => filterWork.filters.status(),
      save: (memory) => files.saveRouting(memory),
      send,
      log,
      metrics: routingMetrics(metrics.registry),
    },
    remembered,
  );

/** As the agent's status has it: nothing, where there is nothing to say. */
export const routingOf = (routing: Routing): { routing?: RoutingStatus } => {
  const status = routing.status();
  return status === undefined ? {} : { routing: status };
};
