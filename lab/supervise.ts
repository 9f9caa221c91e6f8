/** Entry point of a lab's supervisor. Argument: the lab's state directory. */
import { supervise } from './supervisor';

supervise(process.argv[2] ?? '').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
