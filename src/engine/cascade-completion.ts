/**
 * cascadeCompletion: brings all consequences of an ending in its flow forward. It is a composition: the call that ended
 * the execution resolved its first edges and left the others to due work. Spec 08 section 6.2, ruling 43.
 */
import { EngineError } from '../../model/errors.js';
import type { LogEntry, ReadEvent } from '../../model/events.js';
import { partitionOfExecution } from '../../model/ids.js';
import type { Backend } from '../backend/backend.js';
import { checkClock, needBackend, needObject } from '../backend/settings.js';
import { bringForward, readPatiently } from './bring-forward.js';
import { systemClock, type Clock } from './clock.js';
import { Consequences } from './consequences.js';
import { FlowMembers } from './flow-members.js';
import { readEvents } from './log.js';

export interface CascadeOptions {
  /** The execution that ended: a `Completion` has it. The stored end decides, so nothing else of it is needed. */
  readonly executionId: string;
  /** The clock of retries and waits. Default that of the system. */
  readonly clock?: Clock | undefined;
}

export interface CascadeOutcome {
  /** Number of edges of the flow that were resolved during this call, as the log tells; earlier ones do not count. */
  readonly resolved: number;
  /** Number of members of the flow that were skipped during this call. */
  readonly cascadedChildren: number;
  /** Nothing that followed from the ending is due when the call returns. */
  readonly synchronous: true;
}

const NOTHING: CascadeOutcome = { resolved: 0, cascadedChildren: 0, synchronous: true };

/** Codes with which the log says that entries after a cursor are gone. */
const LOST_ENTRIES: ReadonlySet<string> = new Set(['cursor_too_old', 'cursor_lost']);

/**
 * Applies what follows from the end of an execution: edges are resolved, and members that can no longer run are skipped,
 * over any distance. Applies due work of the partition only until then. Does nothing for an execution that has not
 * ended, is in no flow, or is gone. Repeating it is safe.
 * @throws EngineError `call_timeout` if some is left after half a minute; what calls throw
 * @example for await (const { event } of await subscriptions.completions()) await cascadeCompletion(backend, event);
 */
export async function cascadeCompletion(backend: Backend, options: CascadeOptions): Promise<CascadeOutcome> {
  const where = 'cascadeCompletion()';
  needBackend(where, backend);
  // Other members are those of a `Completion`.
  needObject(where, 'options', options);
  checkClock(where, options.clock);
  const { executionId, clock = systemClock } = options;
  const info = await readPatiently(clock, () => backend.readExecutionInfo({ executionId }));
  if (info?.flowId === undefined || info.stateVector.lifecyclePhase !== 'terminal') return NOTHING;
  const partition = partitionOfExecution(executionId);
  const { next: after } = await readPatiently(clock, () => backend.readLog({ partition, after: 'now' }));
  const consequences = new Consequences(backend, clock, executionId);
  await bringForward(backend, partition, { clock, isDone: () => consequences.areApplied() });
  const events = await eventsAfter(backend, partition, after);
  if (events.length === 0) return NOTHING;
  const members = new FlowMembers(info.flowId);
  await members.load(backend);
  const own = events.filter((event) => members.has(event));
  return {
    resolved: own.reduce((sum, event) => sum + edgesIn(event), 0),
    cascadedChildren: own.filter(({ type }) => type === 'execution_skipped').length,
    synchronous: true,
  };
}

const edgesIn = (event: ReadEvent): number => {
  if (event.type === 'dependencies_resolved') return event.edges.length;
  return event.type === 'dependency_resolved' ? 1 : 0;
};

/** Events that tell of edges or skipped members. A log that lost some of them meanwhile tells of the others. */
async function eventsAfter(backend: Backend, partition: string, after: string): Promise<ReadEvent[]> {
  const found: LogEntry['event'][] = [];
  try {
    for await (const { event } of readEvents(backend, { partition, after }))
      if (edgesIn(event) > 0 || event.type === 'execution_skipped') found.push(event);
  } catch (error) {
    if (!(error instanceof EngineError && LOST_ENTRIES.has(error.code))) throw error;
  }
  return found;
}
