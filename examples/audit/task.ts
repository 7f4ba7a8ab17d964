import { z } from 'zod';

import {
  app,
  backoff,
  NonRetryableError,
  RetryableError,
  type App,
  type BackendSource,
  type Logger,
  type Task,
} from '../../src/index.js';
import { AuditError } from './errors.js';
import { auditPackage } from './inspect.js';
import { packageAuditSchema, packageRefSchema, type PackageAudit, type PackageRef } from './schema.js';

/** Input of the task: the package, and the folder that its path is relative to. */
const inputSchema = packageRefSchema.extend({ root: z.string().min(1) });

/** A package to audit, and where. */
export type AuditInput = PackageRef & { readonly root: string };

/** The app of the demo and its one task. */
export interface AuditApp {
  readonly app: App;
  readonly audit: Task<AuditInput, PackageAudit>;
}

/** Defines the audit of one package as a task: the same in every process that takes part. */
export function auditApp(backend: BackendSource, log?: Logger): AuditApp {
  const a = app({ backend, log, namespace: 'audit' });
  const audit = a.task(
    'audit-package',
    {
      input: inputSchema,
      output: packageAuditSchema,
      retry: { failures: 3, backoff: backoff.exponential('200ms', { max: '5s' }) },
      timeout: { attempt: '5m' },
    },
    async ({ input: { root, ...ref }, signal, progress, attempt }) => {
      try {
        return await auditPackage(root, ref, {
          signal,
          attempt,
          progress: ({ filesDone, filesTotal }) =>
            progress((100 * filesDone) / Math.max(1, filesTotal), `${filesDone} of ${filesTotal} files`),
        });
      } catch (error) {
        if (!(error instanceof AuditError)) throw error;
        const options = { category: error.code, cause: error };
        throw error.retryable
          ? new RetryableError(error.message, options)
          : new NonRetryableError(error.message, options);
      }
    },
  );
  return { app: a, audit };
}
