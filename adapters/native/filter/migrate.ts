/**
 * Maps of another layout: the new ones are loaded and filled in a directory beside, then the link is
 * given the program that reads them, then the old ones go. Packets meet the one or the other.
 */
import { unlinkSync } from 'node:fs';
import type { BpfLink } from '../native';
import { CONFIG, FILTER_ABI } from './abi';
import type { FilterMaps } from './filter-maps';
import { LiveFilter } from './live';
import * as pins from './pins';
import type { XdpProgram } from './program';

export async function migrate(
  name: string,
  program: XdpProgram,
  link: BpfLink,
  fill: (maps: FilterMaps) => Promise<void>,
): Promise<LiveFilter> {
  pins.makeDirectory(pins.nextPath(name));
  try {
    return await program.load(pins.nextPath(name), async (fresh, maps) => {
      try {
        await fill(maps);
        await link.update(fresh);
      } catch (error) {
        maps.close();
        throw error;
      }
      pins.promoteNext(name);
      return new LiveFilter(name, fresh.info.id, maps);
    });
  } catch (error) {
    // Where the link has been given the new program, its maps stay: `settleNext` finds them.
    if (link.info.ifindex === 0 || !readsNext(name, link)) pins.removeNext(name);
    throw error;
  }
}

/** A migration that was cut: goes on where the link had been given the new program, else is undone. */
export function settleNext(name: string, link: BpfLink): void {
  if (!pins.hasNext(name)) return;
  if (readsNext(name, link)) pins.promoteNext(name);
  else pins.removeNext(name);
}

function readsNext(name: string, link: BpfLink): boolean {
  const mapIds = pins.programInfo(link.info.programId)?.mapIds ?? [];
  return pins.MAPS.some((map) => {
    const pinned = pins.openPinned(pins.nextPath(name), map);
    const isRead = pinned !== null && mapIds.includes(pinned.info.id);
    pinned?.close();
    return isRead;
  });
}

/** Pins that nothing reads (no link of ours is alive) and that a new program could not work on. */
export function unpinUnfit(name: string, program: XdpProgram): void {
  const directory = pins.pinPath(name);
  for (const map of pins.MAPS) {
    const pinned = pins.openPinned(directory, map);
    if (!pinned) continue;
    const fits = program.fits(map, pinned.info) && (map !== 'config' || isOurAbi(pinned));
    pinned.close();
    if (!fits) unlinkSync(pins.pinPath(name, map));
  }
}

function isOurAbi(config: { lookup(key: Uint8Array, value: Uint8Array): boolean }): boolean {
  const value = Buffer.alloc(CONFIG.size);
  config.lookup(new Uint8Array(4), value);
  return [0, FILTER_ABI].includes(value.readUInt32LE(CONFIG.abi));
}
