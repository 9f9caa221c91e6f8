/** The one value of `latency_config` (bpf/include/latency.h), and which slot counts for whom. */

/** LATENCY_ABI. */
export const LATENCY_ABI = 1;
/** LATENCY_SLOTS: more tracking filters than these have no histogram of forwarded packets. */
export const SLOTS = 8;

const HEAD_BYTES = 24;
const SLOT_BYTES = 20;
const NAME_BYTES = 16;
export const CONFIG_BYTES = HEAD_BYTES + SLOTS * SLOT_BYTES;

/** Where forwarded packets entered. */
export interface Slot {
  /** 0: its device is gone. */
  ifindex: number;
  name: string;
}

export interface LatencyConfig {
  abi: number;
  /** Of TCP flows: core/latency/choice.ts. */
  track: bigint;
  /** TAI − UTC as this kernel has it. */
  taiOffsetNs: bigint;
  /** `SLOTS` of them; null = free. */
  slots: readonly (Slot | null)[];
}

export function encodeConfig({ abi, track, taiOffsetNs, slots }: LatencyConfig): Uint8Array {
  const view = new DataView(new ArrayBuffer(CONFIG_BYTES));
  view.setUint32(0, abi, true);
  view.setBigUint64(8, track, true);
  view.setBigUint64(16, taiOffsetNs, true);
  for (const [i, slot] of slots.entries()) {
    if (slot === null) continue;
    const at = HEAD_BYTES + i * SLOT_BYTES;
    view.setUint32(at, slot.ifindex, true);
    // An interface name is at most 15 bytes; the kernel ends it with a zero.
    for (let c = 0; c < Math.min(slot.name.length, NAME_BYTES - 1); c++) {
      view.setUint8(at + 4 + c, slot.name.charCodeAt(c));
    }
  }
  return new Uint8Array(view.buffer);
}

export function decodeConfig(bytes: Uint8Array): LatencyConfig {
  const view = new DataView(bytes.buffer, bytes.byteOffset, CONFIG_BYTES);
  const slots = Array.from({ length: SLOTS }, (_, i): Slot | null => {
    const at = HEAD_BYTES + i * SLOT_BYTES;
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + SLOT_BYTES)).replace(
      /\0.*/s,
      '',
    );
    return name === '' ? null : { ifindex: view.getUint32(at, true), name };
  });
  return {
    abi: view.getUint32(0, true),
    track: view.getBigUint64(8, true),
    taiOffsetNs: view.getBigUint64(16, true),
    slots,
  };
}

export interface Assignment {
  slots: (Slot | null)[];
  /** Slots that change hands: what they counted is not the new one's. */
  fresh: number[];
  /** Names for which no slot was left. */
  unplaced: string[];
}

/** An interface keeps its slot, also where its device was made anew under another ifindex. */
export function assignSlots(former: readonly (Slot | null)[], wanted: readonly Slot[]): Assignment {
  const byName = new Map(wanted.map((slot) => [slot.name, slot]));
  const slots = former.map((slot) => (slot === null ? null : (byName.get(slot.name) ?? null)));
  const placed = new Set(slots.map((slot) => slot?.name));
  const fresh: number[] = [];
  const unplaced: string[] = [];
  for (const slot of wanted) {
    if (placed.has(slot.name)) continue;
    const free = slots.indexOf(null);
    if (free === -1) {
      unplaced.push(slot.name);
      continue;
    }
    slots[free] = slot;
    fresh.push(free);
  }
  return { slots, fresh, unplaced };
}
