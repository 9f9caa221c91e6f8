/** A thread that runs one frame through the attached program again and again, and counts what passes. */
import { parentPort, workerData } from 'node:worker_threads';
import { verdictOn } from './support';

const { interfaceName, frame } = workerData as { interfaceName: string; frame: Uint8Array };
const tried = { drop: 0, pass: 0 };
let going = true;

function round(): void {
  for (let i = 0; i < 200; i++) tried[verdictOn(interfaceName, Buffer.from(frame))]++;
  if (going) setImmediate(round);
  else parentPort?.postMessage(tried);
}

parentPort?.once('message', () => (going = false));
round();
