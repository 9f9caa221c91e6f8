/** One step of the machine in the making: a shallow copy of the state, its maps copied before they are written. */
import { enqueue, take } from './queue';
import type { Address, Effect, Member, Message, Note, Random, State, Suspicion } from './types';
import { messageBytes } from './wire';
import { roomIn } from './wire-packet';

/** Of those who read checksums (net.go, ProtocolVersionMax): 5. */
const CHECKSUM_VERSION = 5;

/** What label and encryption take of a packet at most: adapters/swim has labels of up to 64 bytes. */
const OVERHEAD_BYTES = 66 + 29;

export class Turn {
  readonly state: State;
  readonly effects: Effect[] = [];
  private members: Map<string, Member> | null = null;
  private suspicions: Map<string, Suspicion> | null = null;

  constructor(
    state: State,
    readonly nowMs: number,
    readonly random: Random,
  ) {
    this.state = { ...state };
  }

  get self(): Member {
    const self = this.state.members.get(this.state.name);
    if (self === undefined) throw new Error('we are not among our own members');
    return self;
  }

  /** All others that are thought to be there. */
  others(): Member[] {
    return [...this.state.members.values()].filter(
      ({ name, state }) => name !== this.state.name && (state === 'alive' || state === 'suspect'),
    );
  }

  put(member: Member): void {
    if (this.members === null) this.state.members = this.members = new Map(this.state.members);
    this.members.set(member.name, member);
  }

  remove(name: string): void {
    if (this.members === null) this.state.members = this.members = new Map(this.state.members);
    this.members.delete(name);
  }

  suspect(name: string, suspicion: Suspicion | null): void {
    if (this.suspicions === null) {
      this.state.suspicions = this.suspicions = new Map(this.state.suspicions);
    }
    if (suspicion === null) this.suspicions.delete(name);
    else this.suspicions.set(name, suspicion);
  }

  note(note: Note): void {
    this.effects.push({ kind: 'note', note });
  }

  nextSeq(): number {
    this.state.sequence = (this.state.sequence + 1) >>> 0;
    return this.state.sequence;
  }

  /** News of `name`, passed on from now on. */
  broadcast(name: string, message: Message): void {
    this.state.queue = enqueue(this.state.queue, name, message, this.state.queued);
    this.state.queued += 1;
  }

  /**
   * What we found out ourselves: in a small cluster everybody, and whom it is about, is told at once. It saves the
   * rounds of gossip, all of which one member may miss: in a trial one of five believed in a dead one for 19 s.
   */
  announce(name: string, message: Message): void {
    this.broadcast(name, message);
    if (this.state.members.size > this.state.profile.directTo) return;
    const about = this.state.members.get(name);
    const told = this.others().filter((other) => other.name !== name);
    if (about !== undefined && name !== this.state.name) told.push(about);
    for (const member of told) this.sendPlain(member.address, [message], member);
  }

  /** With as much news as fits. */
  send(to: Address, message: Message, member: Member | null): void {
    const { messages } = this.news(messageBytes(message) + 2);
    this.sendPlain(to, [message, ...messages], member);
  }

  /** News that fits beside so many bytes; it counts as told once. */
  news(besideBytes: number): { messages: Message[] } {
    const { profile, members } = this.state;
    const room = roomIn(OVERHEAD_BYTES) - besideBytes;
    const limits = { retransmit: profile.retransmit, members: members.size };
    const taken = take(this.state.queue, room, limits);
    this.state.queue = taken.queue;
    return taken;
  }

  sendPlain(to: Address, messages: Message[], member: Member | null): void {
    const checksum = (member?.versions[1] ?? 0) >= CHECKSUM_VERSION;
    this.effects.push({ kind: 'send', to, messages, checksum });
  }
}
