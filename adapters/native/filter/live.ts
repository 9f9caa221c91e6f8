/** The filter that is attached to one interface: handles on the maps it reads, and where they are pinned. */
import { native, type BpfProgram } from '../native';
import { statSync, unlinkSync } from 'node:fs';
import { difference, type Difference, type Loaded } from './loaded';
import type { FilterMaps } from './filter-maps';
import { absentAsNull, makeDirectory, MAPS, openPinned, pinPath, type MapName } from './pins';

const inodeAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.ino ?? 0;

export class LiveFilter {
  /** What we have put there; null: nothing is known of it. */
  loaded: Loaded | null = null;
  /** Of the pins as they stood when we looked last. */
  private readonly inodes = new Map<MapName, number>();

  constructor(
    readonly interfaceName: string,
    /** The program that was seen to read these maps. */
    private id: number,
    readonly maps: FilterMaps,
  ) {
    this.program = native.BpfProgram.openById(id);
  }

  /** The program itself: it outlives its link while we hold it. */
  private program: BpfProgram;

  get programId(): number {
    return this.id;
  }

  set programId(id: number) {
    const program = native.BpfProgram.openById(id);
    this.program.close();
    this.program = program;
    this.id = id;
  }

  get handle(): BpfProgram {
    return this.program;
  }

  /** Makes each pin lead to the map that packets meet. */
  repin(): void {
    const directory = pinPath(this.interfaceName);
    makeDirectory(directory);
    for (const name of MAPS) {
      const pinned = openPinned(directory, name);
      const right = pinned?.info.id === this.maps.idOf(name);
      pinned?.close();
      if (!right) {
        absentAsNull(() => unlinkSync(pinPath(this.interfaceName, name)));
        this.maps.pin(name, directory);
      }
      this.inodes.set(name, inodeAt(pinPath(this.interfaceName, name)));
    }
  }

  /** What others have done to the pins and the maps. */
  difference(): Difference | null {
    for (const name of MAPS) {
      const inode = inodeAt(pinPath(this.interfaceName, name));
      if (inode === this.inodes.get(name)) continue;
      const what = inode === 0 ? 'is gone' : 'leads elsewhere';
      return { state: 'missing', detail: `the pin of its map ${name} ${what}` };
    }
    return this.loaded && difference(this.maps, this.loaded);
  }

  close(): void {
    this.program.close();
    this.maps.close();
  }
}
