import { RunError, RunFailedError, type Run } from '../../src/index.js';
import type { AuditFailure } from './report.js';
import type { PackageAudit, PackageRef } from './schema.js';

/** What became of all packages. */
export interface Collected {
  readonly audits: readonly PackageAudit[];
  readonly failures: readonly AuditFailure[];
}

/**
 * Waits for every run and sorts the results from the failures, in the order of the packages.
 *
 * @param onEnded called as each run ends, with whether it failed, and the run
 */
export async function collect(
  packages: readonly PackageRef[],
  runs: readonly Run<PackageAudit>[],
  onEnded: (failed: boolean, run: Run<PackageAudit>) => void,
): Promise<Collected> {
  const audits: PackageAudit[] = [];
  const failures: AuditFailure[] = [];
  const ends = await Promise.all(
    runs.map(async (run, at) => {
      const end = await endOf(run, packages[at] as PackageRef);
      onEnded('code' in end, run);
      return end;
    }),
  );
  for (const end of ends) {
    if ('code' in end) failures.push(end);
    else audits.push(end);
  }
  return { audits, failures };
}

/** The ids of those runs that have ended, whether with a result or without. */
export async function endedAmong(runs: readonly Run<PackageAudit>[]): Promise<ReadonlySet<string>> {
  const states = await Promise.all(runs.map((run) => run.state()));
  const ended = runs.filter((_, at) => !['waiting', 'delayed', 'active'].includes(states[at] as string));
  return new Set(ended.map(({ id }) => id));
}

async function endOf(run: Run<PackageAudit>, ref: PackageRef): Promise<PackageAudit | AuditFailure> {
  try {
    return await run.result();
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    const code = error instanceof RunFailedError ? error.category : error.code;
    const { attempts } = await run.info();
    return { ...ref, code, reason: error.reason, attempts };
  }
}
