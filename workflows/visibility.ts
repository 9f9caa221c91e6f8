/** What a run says of itself in the UI: search attributes and current details. */
import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { SEARCH_ATTRIBUTES } from '../core/model/ids';
import type { Phase } from '../core/model/edge-spec';
import type { NodeName } from '../core/model/ids';

type AttributeName = (typeof SEARCH_ATTRIBUTES)[number];
const keyword = (name: AttributeName) => ({ name, type: 'KEYWORD' as const });

const NODE = keyword('AetherNode');
const PHASE = keyword('AetherPhase');
const STATE = keyword('AetherState');
const SERVICE = keyword('AetherService');

/** What a run is about: it is listed by that. */
export type About = NodeName | { service: string };

export interface Shown {
  state: string;
  phase?: Phase | null;
}

/** Each upsert is an event and an action: only what has changed is written, in one command. */
export class Visibility {
  private shown: Shown | null = null;

  constructor(private readonly about: About) {}

  /** `details`: markdown, below 2 kB. */
  show(next: Shown, details: string): void {
    setCurrentDetails(details.slice(0, 2_000));
    const last = this.shown;
    if (last !== null && last.state === next.state && last.phase === next.phase) return;
    this.shown = next;
    upsertSearchAttributes([
      ...(last === null ? [this.subject()] : []),
      { key: STATE, value: next.state },
      ...(next.phase === undefined || next.phase === last?.phase
        ? []
        : [{ key: PHASE, value: next.phase }]),
    ]);
  }

  private subject() {
    const { about } = this;
    return typeof about === 'string'
      ? { key: NODE, value: about }
      : { key: SERVICE, value: about.service };
  }
}
