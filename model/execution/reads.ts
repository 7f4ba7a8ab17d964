/**
 * Reads of one execution. A missing execution is an answer (`undefined`), not an error, except in reads that a handler
 * needs.
 */
import { z } from 'zod';
import { NO_BYTES } from '../core/bytes.js';
import * as field from '../core/fields.js';
import { accept, query, reject } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { infoOf, snapshotOf, type ExecutionInfo, type ExecutionSnapshot } from './projections.js';
import { stateVector, type PublicState } from './situation.js';

const byId = z.strictObject({ executionId: field.executionId });
const partition = (args: z.output<typeof byId>): string => partitionOfExecution(args.executionId);

export const describeExecution = query({
  name: 'describeExecution',
  args: byId,
  rejects: [],
  partition,
  read(view, { executionId }) {
    const execution = view.executions.get(executionId);
    return accept<ExecutionSnapshot | undefined>(execution && snapshotOf(execution));
  },
});

export const readExecutionInfo = query({
  name: 'readExecutionInfo',
  args: byId.extend({
    /** Whether the answer has the bytes of the result, which are those of the same run. */
    withResult: z.boolean().default(false),
  }),
  rejects: [],
  partition,
  read(view, { executionId, withResult }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return accept<ExecutionInfo | undefined>(undefined);
    const info = infoOf(execution);
    return accept<ExecutionInfo | undefined>(
      withResult ? { ...info, result: view.executions.result(executionId) } : info,
    );
  },
});

export const readExecutionState = query({
  name: 'readExecutionState',
  args: byId,
  rejects: [],
  partition,
  read(view, { executionId }) {
    const execution = view.executions.get(executionId);
    return accept<PublicState | undefined>(execution && stateVector(execution).publicState);
  },
});

/** What a handler needs to start. */
export interface ExecutionContext {
  /** Empty when there is none. */
  readonly inputPayload: Uint8Array;
  readonly executionKind: string;
  readonly tags: Readonly<Record<string, string>>;
}

export const readExecutionContext = query({
  name: 'readExecutionContext',
  args: byId,
  rejects: ['execution_not_found'],
  partition,
  read(view, { executionId }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const inputPayload = view.executions.input(executionId) ?? NO_BYTES;
    return accept<ExecutionContext>({ inputPayload, executionKind: execution.executionKind, tags: execution.tags });
  },
});

export const getExecutionResult = query({
  name: 'getExecutionResult',
  args: byId,
  rejects: [],
  partition,
  /** The bytes passed to completeExecution; undefined before that, or when it was given none. */
  read(view, { executionId }) {
    return accept<Uint8Array | undefined>(view.executions.result(executionId));
  },
});
