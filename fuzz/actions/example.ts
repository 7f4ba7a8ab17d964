/** A small world for examples of calls: a running execution, a suspended one, and some others. */
import type { OperationName, QueryName } from '../../model/machine.js';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import { SECRET } from '../spoil.js';

export { SECRET };

export type Examples = { readonly [Name in OperationName | QueryName]?: object };

export const PARTITION = '{fp:0}';
export const uuid = (n: number): string => `00000000-0000-4000-a000-${String(n).padStart(12, '0')}`;
export const idOf = (n: number): string => `${PARTITION}:${uuid(n)}`;
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export const RUNNING = idOf(1);
export const FENCE = { leaseId: uuid(901), leaseEpoch: 1, attemptId: uuid(902) };
/** The owner of the running execution. */
export const owner = { executionId: RUNNING, fence: FENCE, attemptIndex: 0 };

export const SUSPENDED = idOf(5);
export const SUSPENDER = { leaseId: uuid(105), leaseEpoch: 1, attemptId: uuid(205) };

export const METERS = meterSetOf(metersOf({ quotaPolicyIds: [uuid(400)] }));
