/** What actions on waiting work choose: names, keys, people and conditions. */
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { ResumeCondition } from '../../model/suspension/condition.js';

export const NAMES = ['approved', 'rejected', 'Größe: 5 %, "x"'] as const;
/** Keys of waitpoints: two belong to one channel, one has the maximum length. */
export const KEYS = ['wpk:a', 'wpk:a#|b', 'w'.repeat(256)] as const;
/** Names of signals that need no waitpoint: some are those of a channel. */
export const CHANNELS = ['wpk:a', KEYS[2], 'wpk:a#|b', 'approved'] as const;
export const DECIDERS = ['', 'ann', 'ann:b', 'b'] as const;

export const byName = (index: number) => ({ type: 'by_name', name: NAMES[index % NAMES.length] as string }) as const;
export const any = { type: 'wildcard' } as const;
const of = (key: number) => ({ type: 'single', waitpointKey: KEYS[key] as string, matcher: byName(key) }) as const;

export interface Shape {
  readonly condition: ResumeCondition;
  /** Number of waitpoints. */
  readonly keys: number;
}

const counted = (countKind: 'distinct_waitpoints' | 'distinct_signals' | 'distinct_sources', n: number, keys: number) =>
  ({ type: 'count', n, countKind, waitpoints: KEYS.slice(0, keys) }) as const;

/** Conditions of every kind, some of them nested. */
export const SHAPES: readonly Shape[] = [
  { condition: of(0), keys: 1 },
  { condition: { ...of(0), matcher: any }, keys: 1 },
  { condition: { type: 'operator_only' }, keys: 1 },
  { condition: { type: 'timeout_only' }, keys: 1 },
  { condition: { type: 'all_of', members: [of(0), of(1), of(2)] }, keys: 3 },
  { condition: { ...counted('distinct_waitpoints', 2, 3), matcher: byName(0) }, keys: 3 },
  { condition: counted('distinct_signals', 3, 2), keys: 2 },
  { condition: counted('distinct_sources', 2, 1), keys: 1 },
  // One signal is enough, and the outer parts contain the inner ones.
  { condition: { type: 'all_of', members: [{ type: 'all_of', members: [{ ...of(0), matcher: any }] }] }, keys: 1 },
  {
    condition: {
      type: 'all_of',
      members: [
        { type: 'all_of', members: [{ ...counted('distinct_sources', 1, 2), matcher: byName(0) }] },
        { ...counted('distinct_sources', 1, 2), matcher: byName(1) },
        { type: 'all_of', members: [of(2), counted('distinct_signals', 2, 3)] },
      ],
    },
    keys: 3,
  },
];

/** Ids of all waitpoints that an execution has had. */
export const waitpointsOf = (execution: ReadonlyExecution | undefined): string[] =>
  Object.keys(execution?.waiting?.waitpoints ?? {});
