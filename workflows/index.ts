/** Everything a workflow Worker runs; the bundle is made from this file. */
export { auditNodes } from './audit-nodes';
export { bgpFailover } from './bgp-failover';
export { decommissionNode } from './decommission-node';
export { drainNode } from './drain-node';
export { drainService } from './drain-service';
export { nodeLifecycle } from './node-lifecycle';
export { onboardNode } from './onboard-node';
export { quarantineNode } from './quarantine-node';
export { refreshBlocklist } from './refresh-blocklist';
export { repairNode } from './repair-node';
