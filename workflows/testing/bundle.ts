/** The bundle of the workflows as they are compiled now; made once for all test files. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DefaultLogger, bundleWorkflowCode } from '@temporalio/worker';

const dist = join(__dirname, '../..');

export async function bundle(): Promise<{ code: string }> {
  const path = join(dist, '.test-bundles', `${fingerprint()}.js`);
  if (existsSync(path)) return { code: readFileSync(path, 'utf8') };
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(dist, 'workflows/index.js'),
    logger: new DefaultLogger('ERROR'),
  });
  mkdirSync(join(dist, '.test-bundles'), { recursive: true });
  // Test files run side by side: whoever reads finds all of it or nothing.
  writeFileSync(`${path}.${process.pid}`, code);
  renameSync(`${path}.${process.pid}`, path);
  return { code };
}

/** Of everything that can get into the bundle: our code, and by the lock file that of others. */
function fingerprint(): string {
  const hash = createHash('sha256').update(readFileSync(join(dist, '../package-lock.json')));
  for (const folder of ['workflows', 'core']) {
    const names = readdirSync(join(dist, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.js') && !name.endsWith('.test.js'))
      .sort();
    for (const name of names) hash.update(name).update(readFileSync(join(dist, folder, name)));
  }
  return hash.digest('hex').slice(0, 16);
}
