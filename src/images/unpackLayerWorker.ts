import { parentPort } from 'node:worker_threads';
import { type LayerJob, unpackLayer } from './unpackLayer.ts';
import { answer } from './workerPool.ts';

// A worker thread that unpacks layers, one after another.
parentPort?.on('message', (job: LayerJob) => void answer(() => unpackLayer(job)));
