/** Finds the servers that `scripts/setup` builds. */
import { accessSync, constants } from 'node:fs';
import { join, resolve } from 'node:path';

export type Tool = 'etcd' | 'etcdctl' | 'temporal' | 'gobgpd' | 'gobgp';

/** Root of the checkout (or of the installation), seen from `dist/lab`. */
export const ROOT = resolve(__dirname, '../..');

const DEFAULT_TOOLS = join(ROOT, '.tools/bin');

/** Path of a server, or null where it was not built. */
export function findTool(tool: Tool, directory: string = DEFAULT_TOOLS): string | null {
  const path = join(directory, tool);
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return null;
  }
}

export function needTool(tool: Tool, directory: string = DEFAULT_TOOLS): string {
  const path = findTool(tool, directory);
  if (path !== null) return path;
  throw new Error(`${tool} is not in ${directory}. \`make setup\` builds it.`);
}
