/** How the other controllers find this one: the value of `controllers/<id>`. */
import { randomUUID } from 'node:crypto';
import type { ControllerValue } from '../../core/model/values';
import type { ControllerConfig } from '../config/controller';

export const registrationOf = ({
  edges,
  gossip,
  adminListen,
  weight,
}: ControllerConfig): ControllerValue => ({
  boot: randomUUID(),
  weight,
  draining: false,
  edgeAddress: edges.listen,
  gossipAddress: gossip?.listen ?? null,
  adminAddress: adminListen,
});
