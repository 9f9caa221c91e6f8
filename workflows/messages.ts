/** Signals, updates and queries by the names in `core/model/messages`. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import { messageNames } from '../core/model/messages';
import type {
  Approval,
  DriftReport,
  GrantPhase,
  LifecycleState,
  ReleasePhase,
  RepairRecord,
} from '../core/model/messages';

// ---- repairNode ----
export const drift = defineSignal<[DriftReport]>(messageNames.drift);
export const repairedByAgent = defineSignal<[RepairRecord]>(messageNames.repairedByAgent);
export const reconsider = defineSignal(messageNames.reconsider);
export const approve = defineUpdate<{ accepted: true }, [Approval]>(messageNames.approve);

// ---- nodeLifecycle ----
export const grantPhase = defineUpdate<{ phaseRevision: number }, [GrantPhase]>(
  messageNames.grantPhase,
);
export const releasePhase = defineUpdate<void, [ReleasePhase]>(messageNames.releasePhase);
export const repairEnded = defineSignal<[RepairRecord]>(messageNames.repairEnded);
export const state = defineQuery<LifecycleState>(messageNames.state);
