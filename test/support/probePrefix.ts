import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where an executor that is probed by a test may make its folder. */
export const PROBE_PREFIX = join(tmpdir(), 'vmbuild-probe-');
