/** Entry point of a bfd process: `node dist/workers/bfd.js`, configured by its environment. */
import './bfd/hurry';
import type { NativeError } from '../adapters/native/native';
import { BfdProcess } from './bfd/process';
import { bfdConfig } from './config/bfd';
import { ConfigError } from './config/env';

async function main(): Promise<void> {
  const bfd = new BfdProcess(bfdConfig(process.env));
  await bfd.start();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void bfd.stop().then(() => process.exit(0)));
  }
}

main().catch((error: unknown) => {
  // What is wrong with configuration or host is for people; anything else is a defect.
  const taken = (error as Partial<NativeError>).code === 'EADDRINUSE';
  const why = taken
    ? 'UDP port 3784 or 4784 is taken: bfdd, BIRD or another bfd process runs here'
    : error;
  console.error(error instanceof ConfigError ? error.message : why);
  process.exit(1);
});
