/**
 * The handles of one observation or one wave of steps: each namespace is opened at most once, and
 * all are closed at its end, since an open socket would keep a deleted namespace alive.
 */
import { NetNs } from './netns';
import type { Rtnl } from './rtnl';

export interface Room {
  ns: NetNs;
  rtnl: Rtnl;
}

export class Session {
  private readonly rooms = new Map<string | null, Promise<Room>>();

  /** Null: the namespace of the process. */
  room(namespace: string | null): Promise<Room> {
    let room = this.rooms.get(namespace);
    if (!room) {
      room = openRoom(namespace);
      this.rooms.set(namespace, room);
    }
    return room;
  }

  async close(): Promise<void> {
    for (const room of await Promise.allSettled(this.rooms.values())) {
      if (room.status === 'fulfilled') room.value.ns.close();
    }
  }
}

async function openRoom(namespace: string | null): Promise<Room> {
  const ns = namespace === null ? NetNs.host() : NetNs.open(namespace);
  try {
    return { ns, rtnl: await ns.rtnl() };
  } catch (error) {
    ns.close();
    throw error;
  }
}

/** Runs `work` with a session that is closed afterwards, whatever happens. */
export async function withSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
  const session = new Session();
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}
