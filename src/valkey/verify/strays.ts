/** Executions without a fault that a stray entry of an index brought into quarantine. */
import { STRAY_IN_QUEUE, STRAY_TIMER } from '../../../lua/layout.js';
import { LIMITS } from '../../../model/limits.js';
import type { OperationName, QueryName } from '../../../model/machine.js';
import type { QuarantinedPage } from '../../../model/partition/quarantine.js';

/** The calls of a backend that `releaseStrays` makes. */
interface StrayCalls {
  readonly read: (name: QueryName, args: never) => Promise<unknown>;
  readonly run: (name: OperationName, args: unknown) => Promise<unknown>;
}

/** Retries what is in quarantine because of an entry of an index that a call left behind. @returns how many returned */
export async function releaseStrays(partition: string, { read, run }: StrayCalls): Promise<number> {
  let released = 0;
  for (let cursor: string | undefined; ; ) {
    const args = { partition, cursor, limit: LIMITS.maxPageSize } as never;
    const page = (await read('listQuarantined', args)) as QuarantinedPage;
    for (const { name, reason } of page.entries) {
      if (reason !== STRAY_TIMER && reason !== STRAY_IN_QUEUE) continue;
      const { kind } = (await run('retryQuarantined', { partition, name })) as { kind: string };
      if (kind === 'retried') released++;
    }
    if (page.nextCursor === undefined) return released;
    cursor = page.nextCursor;
  }
}
