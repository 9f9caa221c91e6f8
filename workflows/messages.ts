/** Signals, updates and queries by the names in `core/model/messages`. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import { messageNames } from '../core/model/messages';
import type {
  Approval,
  DriftReport,
  Granted,
  GrantPhase,
  LifecycleState,
  ReleasePhase,
  RepairRecord,
} from '../core/model/messages';
import type {
  ByHand,
  FailoverEvidence,
  QuarantineInput,
  RoutingEvents,
  RoutingProgress,
} from '../core/model/routing-messages';

// ---- repairNode ----
export const drift = defineSignal<[DriftReport]>(messageNames.drift);
export const repairedByAgent = defineSignal<[RepairRecord]>(messageNames.repairedByAgent);
export const reconsider = defineSignal(messageNames.reconsider);
export const approve = defineUpdate<{ accepted: true }, [Approval]>(messageNames.approve);

// ---- nodeLifecycle ----
export const grantPhase = defineUpdate<Granted, [GrantPhase]>(messageNames.grantPhase);
export const releasePhase = defineUpdate<void, [ReleasePhase]>(messageNames.releasePhase);
export const repairEnded = defineSignal<[RepairRecord]>(messageNames.repairEnded);
export const state = defineQuery<LifecycleState>(messageNames.state);
export const routingEvents = defineSignal<[RoutingEvents]>(messageNames.routingEvents);
export const quarantineEnded = defineSignal<[ByHand | null]>(messageNames.quarantineEnded);

// ---- drainNode, drainService, quarantineNode, bgpFailover ----
export const progress = defineQuery<RoutingProgress>(messageNames.progress);
export const undrain = defineSignal<[ByHand]>(messageNames.undrain);
export const penalty = defineSignal<[QuarantineInput]>(messageNames.penalty);
export const release = defineSignal<[ByHand]>(messageNames.release);
export const evidence = defineSignal<[FailoverEvidence]>(messageNames.evidence);
export const failBack = defineSignal<[ByHand]>(messageNames.failBack);
