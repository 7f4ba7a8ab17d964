/** A server of its own for a test file, a backend on it, and a plain client that looks at it from outside. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll } from 'vitest';
import type { Backend } from '../../../src/backend/backend.js';
import { valkey } from '../../../src/valkey/index.js';
import { startValkey, type ValkeyServer } from './index.js';

export interface Deployment {
  readonly server: ValkeyServer;
  readonly backend: Backend;
  readonly admin: Valkey;
}

/** Starts it before the tests of the file and stops it behind them; its members are there while tests run. */
export function deployment(partitionCount = 1): Deployment {
  const now = {} as { server: ValkeyServer; backend: Backend; admin: Valkey };
  beforeAll(async () => {
    now.server = await startValkey();
    now.backend = await valkey({ url: now.server.url, partitions: { count: partitionCount } });
    now.admin = new Valkey(now.server.port, now.server.host);
  });
  afterAll(async () => {
    await now.backend.close();
    now.admin.disconnect();
    await now.server.stop();
  });
  return now;
}
