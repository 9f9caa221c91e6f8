/** What no single field of an AnycastService can get wrong. */
import type { Issue } from './issues';

export const checkAnycast = (_document: unknown): Issue[] => [];
