/** What both kinds of image share: lines of eight words, and room behind what is used. */

/** Words of a line; an image is whole lines (SET_LINE_WORDS of bpf/include/consts.h). */
export const LINE_WORDS = 8;

const ROOM_SHARE = 0.25;
export const LEAST_ROOM_WORDS = 4096;

/** Words of an image whose `used` are in use, `growing` of them such as edits make. */
export function roomFor(used: number, growing: number): number {
  const room = Math.max(LEAST_ROOM_WORDS, Math.ceil(growing * ROOM_SHARE));
  return Math.ceil((used + room) / LINE_WORDS) * LINE_WORDS;
}
