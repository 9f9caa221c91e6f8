/** Pieces of what commands print for people. */
import type { Output } from './output';

export const heading = (out: Output, text: string): string => `\n${out.colours.bold(text)}`;

export const indented = (text: string): string => text.replace(/^/gm, '  ').trimEnd();
