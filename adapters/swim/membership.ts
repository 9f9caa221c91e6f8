/** What others see of the gossip: who seems to be there. A hint, never an authority (docs/notes/cluster.md). */
import type { MemberState } from '../../core/swim/types';
import type { Counter } from './counters';

/** JSON-plain: `aether members --json` prints it. Times in ms since the epoch. */
export interface MemberView {
  name: string;
  address: string;
  /** As its meta says; '' of a member that is not ours. */
  boot: string;
  state: MemberState;
  incarnation: number;
  sinceMs: number;
  /** While suspect or dead: members that have said so by themselves, ourselves included. */
  confirmations: number;
}

export interface Membership {
  /** `host:port`, where others reach us. */
  readonly address: string;
  /** By name, ourselves included; nobody, once gossip has failed or ended. */
  members(): readonly MemberView[];
  /** Lifeguard's local health multiplier, 0 … 7: what this member thinks of itself. */
  awareness(): number;
  /** Since the start. */
  counters(): Readonly<Record<Counter, number>>;
  /** Called after each change of `members`; a change of incarnation alone is none. */
  onChange(listener: () => void): void;
  /** `host:port` each; resolves to how many answered. Harmless when repeated. */
  join(addresses: readonly string[]): Promise<number>;
  /** Tells the others, so that nobody has to find out; then ends. */
  leave(timeoutMs: number): Promise<void>;
  /** Ends without a word. */
  close(): Promise<void>;
}
