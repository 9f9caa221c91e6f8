/**
 * A service for the edges of a lab to announce: HTTP on port 80 that says on which node it runs, to
 * whomever asks, `/healthz` included. It runs in a named network namespace of its host and ends when
 * that is deleted: whoever stays in it would keep it, and what is in it, alive.
 *
 * Arguments: the node's name, the namespace's. Started within that namespace, but in the host's mounts.
 */
import { statSync, watch } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const NAMESPACES = '/run/netns';
const PORT = 80;

/** Of the namespace that has this name now; null: none has. */
function inode(name: string): number | null {
  try {
    return statSync(join(NAMESPACES, name)).ino;
  } catch {
    return null;
  }
}

/** Command line that waits for the namespace and runs this file in it; for a lab's supervisor. */
export function echoCommand(node: string, namespace: string): string[] {
  const path = join(NAMESPACES, namespace);
  // A name is there a moment before the namespace is bound to it: that attempt fails, the next does not.
  const script = `until [ -e ${path} ]; do sleep 0.1; done; exec nsenter --net=${path} "$@"`;
  return ['sh', '-c', script, 'sh', process.execPath, __filename, node, namespace];
}

function serve(node: string, namespace: string): void {
  const born = inode(namespace);
  watch(NAMESPACES, () => {
    if (inode(namespace) !== born) process.exit(0);
  });
  createServer((_, response) => {
    response.setHeader('connection', 'close');
    response.end(`${node}\n`);
  }).listen(PORT, '::');
}

if (require.main === module) {
  serve(process.argv[2] ?? '', process.argv[3] ?? '');
}
