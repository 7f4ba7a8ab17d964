/**
 * The small worlds: their executions, workers and callers. Times are short and caps low, so that few steps reach far.
 */
import { KEEP_FOR_GOOD, LIMITS } from '../../model/limits.js';
import type { Outside } from './outside-moves.js';
import type { ArgsOf } from '../../model/machine.js';

export interface Scenario {
  readonly name: string;
  /** Created in this order, if at all. */
  readonly creations: readonly Partial<ArgsOf<'createExecution'>>[];
  /** The capabilities of the two workers. */
  readonly capabilities: readonly [readonly string[], readonly string[]];
  /** The kinds of the two workers; absent: any. */
  readonly kinds?: readonly [readonly string[], readonly string[]];
  /** Whether workers also claim ahead of their handlers. */
  readonly ahead?: boolean;
  /** Loops that apply due work, with the limit of a pass. Default: one without a limit. */
  readonly loops?: { readonly owners: readonly string[]; readonly limit: number };
  /** Moves from outside the workers. Default none. */
  readonly outside?: readonly Outside[];
  /** Depth in `npm test`. */
  readonly depth: number;
  /** Depth in `npm run prove`. Default `depth`. */
  readonly proofDepth?: number;
}

const NONE = [[], []] as const;

const policy = (value: object): ArgsOf<'createExecution'>['policy'] => value as ArgsOf<'createExecution'>['policy'];

const CAPS = { maxReclaimCount: 1, maxReleaseCount: 1, streamPolicy: { retentionTtlMs: 0 } };
const ONE_RETRY = { retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 300 } } };

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'one execution, one retry, caps of one',
    creations: [{ policy: policy({ ...CAPS, ...ONE_RETRY }) }],
    capabilities: NONE,
    depth: 11,
    proofDepth: 12,
  },
  {
    name: 'one execution whose attempts and whose life are bounded',
    creations: [
      {
        policy: policy({ ...CAPS, ...ONE_RETRY, timeoutPolicy: { attemptTimeoutMs: 600, executionDeadlineMs: 1_600 } }),
      },
    ],
    capabilities: NONE,
    ahead: true,
    depth: 6,
    proofDepth: 7,
  },
  {
    name: 'one execution that begins delayed and has a key',
    creations: [
      {
        delayUntil: 1_700_000_000_400,
        idempotencyKey: 'key',
        policy: policy({ ...CAPS, dedupWindowMs: 700, maxReclaimCount: 0 }),
      },
      { idempotencyKey: 'key', holdsKey: true, policy: policy({ ...CAPS, dedupWindowMs: 700, maxReclaimCount: 0 }) },
    ],
    capabilities: NONE,
    depth: 7,
  },
  {
    name: 'two executions, the younger one more urgent',
    creations: [{ policy: policy(CAPS) }, { priority: 1, policy: policy(CAPS) }],
    capabilities: NONE,
    depth: 6,
    proofDepth: 7,
  },
  {
    name: 'two executions, one of which only one worker can do',
    creations: [
      { policy: policy({ ...CAPS, maxReclaimCount: 0, routingRequirements: { requiredCapabilities: ['gpu'] } }) },
      { policy: policy({ ...CAPS, ...ONE_RETRY }) },
    ],
    capabilities: [['gpu'], []],
    depth: 6,
  },
  {
    name: 'two executions of two kinds, one of which only one worker can run; the other one is kept for good',
    creations: [
      { executionKind: 'render', policy: policy(CAPS) },
      { executionKind: 'mail', policy: policy({ ...CAPS, streamPolicy: { retentionTtlMs: KEEP_FOR_GOOD } }) },
    ],
    capabilities: NONE,
    kinds: [['render', 'mail'], ['mail']],
    depth: 6,
  },
  {
    name: 'two executions that begin delayed, two loops that apply one at a time',
    creations: [
      { delayUntil: 1_700_000_000_400, policy: policy(CAPS) },
      { delayUntil: 1_700_000_000_400, policy: policy(CAPS) },
    ],
    capabilities: NONE,
    loops: { owners: ['L1', 'L2'], limit: 1 },
    depth: 6,
    proofDepth: 7,
  },
  {
    name: 'one execution whose handler has steps, and which is replayed',
    creations: [
      {
        policy: policy({
          ...CAPS,
          maxReplayCount: 1,
          timeoutPolicy: { attemptTimeoutMs: 600, executionDeadlineMs: 900 },
        }),
      },
    ],
    capabilities: NONE,
    outside: ['steps', 'replays'],
    depth: 6,
  },
  {
    name: 'one execution that says things, is tried again, and is purged',
    creations: [
      {
        policy: policy({
          ...ONE_RETRY,
          timeoutPolicy: { attemptTimeoutMs: 600, executionDeadlineMs: 900 },
          streamPolicy: { maxBytes: 3, retentionTtlMs: 0 },
        }),
      },
    ],
    capabilities: NONE,
    outside: ['streams'],
    depth: 5,
  },
  {
    name: 'one execution that is granted, held and taken',
    creations: [{ policy: policy({ ...CAPS, ...ONE_RETRY, timeoutPolicy: { attemptTimeoutMs: 1_200 } }) }],
    capabilities: NONE,
    outside: ['grants', 'holds'],
    depth: 6,
  },
  {
    name: 'two executions that are granted and claimed',
    creations: [{ policy: policy(CAPS) }, { policy: policy({ ...CAPS, maxReclaimCount: 0 }) }],
    capabilities: NONE,
    outside: ['grants'],
    depth: 5,
  },
  {
    name: 'one execution that is blocked, edited, watched and replayed',
    creations: [
      {
        policy: policy({ ...CAPS, maxReplayCount: 1 }),
        tags: Object.fromEntries(Array.from({ length: LIMITS.maxTags }, (_, i) => [`tag.t${i}`, ''])),
      },
    ],
    capabilities: NONE,
    outside: ['blocks', 'holds', 'edits', 'watches', 'replays', 'grants'],
    depth: 5,
  },
];
