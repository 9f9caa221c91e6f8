/** A bpf_link that is pinned, and held besides, so that looking after it costs two system calls. */
import { existsSync, readdirSync, unlinkSync } from 'node:fs';
import { codeOf } from './errors';
import { native, type BpfLink, type BpfProgram } from './native';

/** What a link should be. */
export interface WantedLink {
  path: string;
  /** Of its device; 0 where it has none (tp_btf). */
  ifindex: number;
  program: BpfProgram;
  /** Some map that the program must use, else it counts where nobody reads. */
  mapId: number;
  attach(program: BpfProgram): Promise<BpfLink>;
}

export class HeldLink {
  private constructor(
    private readonly path: string,
    private readonly link: BpfLink,
    private readonly ifindex: number,
  ) {}

  /** Takes over what is pinned where that is as wanted; else attaches anew in its place. */
  static async ensure(wanted: WantedLink): Promise<HeldLink> {
    const { path, ifindex } = wanted;
    const found = openLink(path);
    if (found && isAsWanted(found, wanted)) return new HeldLink(path, found, ifindex);
    found?.close();
    await dropLink(path);
    const link = await wanted.attach(wanted.program);
    // Until the pin stands, the link lives by this fd alone: a crash here leaves nothing.
    try {
      link.pin(path);
    } catch (error) {
      link.close();
      throw error;
    }
    return new HeldLink(path, link, ifindex);
  }

  /** Attached to that device; sets a pin again that somebody took away. */
  isRight(ifindex: number): boolean {
    if (this.link.info.ifindex !== ifindex || this.ifindex !== ifindex) return false;
    if (!existsSync(this.path)) this.link.pin(this.path);
    return true;
  }

  close(): void {
    this.link.close();
  }
}

function isAsWanted(link: BpfLink, { ifindex, program, mapId }: WantedLink): boolean {
  const { programId, ifindex: at } = link.info;
  if (at !== ifindex) return false;
  const attached = native.BpfProgram.openById(programId);
  const { tag, mapIds } = attached.info;
  attached.close();
  return tag === program.info.tag && mapIds.includes(mapId);
}

function openLink(path: string): BpfLink | null {
  try {
    return native.BpfLink.open(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** What has no way to be detached goes with its last reference. */
const UNDETACHABLE = ['EOPNOTSUPP', 'ENOTSUP'];

/** Detaches and unpins; what is absent is no error. */
export async function dropLink(path: string): Promise<void> {
  const link = openLink(path);
  if (link === null) return;
  try {
    await link.detach();
  } catch (error) {
    if (!UNDETACHABLE.includes(codeOf(error))) throw error;
  } finally {
    link.close();
  }
  unlinkIfThere(path);
}

export function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** Names in a directory of pins; none where it is absent. */
export const pinsIn = (directory: string): string[] =>
  existsSync(directory) ? readdirSync(directory) : [];
