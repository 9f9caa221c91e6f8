/** Undos of a change in several steps. */
import { reasonOf } from './failures';

/** What could not be taken back, and why. */
export interface Left {
  what: string;
  why: string;
}

/**
 * Register an undo *before* its step: a step that took effect and then timed out is undone as well.
 * So undos have to succeed where there is nothing to undo. One step may be registered again when it
 * is repeated.
 */
export class Saga {
  private readonly undos = new Map<string, () => Promise<void>>();

  register(what: string, undo: () => Promise<void>): void {
    this.undos.set(what, undo);
  }

  /** In the order of registration. */
  get registered(): string[] {
    return [...this.undos.keys()];
  }

  /** Runs the undos in reverse; one that fails does not keep the earlier ones from being tried. */
  async unwind(): Promise<Left[]> {
    const left: Left[] = [];
    for (const [what, undo] of [...this.undos].reverse()) {
      try {
        await undo();
      } catch (error) {
        left.push({ what, why: reasonOf(error) });
      }
    }
    return left;
  }
}
