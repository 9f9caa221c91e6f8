/** A thread for one refresh: a list of a million would hold up streams and leases for seconds. */
import { parentPort, workerData } from 'node:worker_threads';
import { type FeedTask, refreshFeed } from '../../core/filter/feed-refresh';

parentPort?.postMessage(refreshFeed(workerData as FeedTask));
