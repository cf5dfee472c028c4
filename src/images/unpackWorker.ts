import { parentPort } from 'node:worker_threads';
import { type UnpackJob, unpackDeb } from './unpackDeb.ts';
import { answer } from './workerPool.ts';

// A worker thread that unpacks packages, one after another.
parentPort?.on('message', (job: UnpackJob) => void answer(() => unpackDeb(job)));
