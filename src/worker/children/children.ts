/**
 * The children of one run of a handler. A use of `children` is a checkpoint, recorded when its children are created.
 * Their
 * outcome follows from the edges that lead from them to their parent, so every later run finds the same outcome, and
 * nothing is recorded when the children have ended.
 */
import { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import { sleep } from '../../engine/clock.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { asEngineError } from '../../util/engine-error.js';
import { partsOfFailure } from '../../util/failure-text.js';
import type { Attempt } from '../attempt.js';
import { untilAnswered } from '../checkpoints/calls.js';
import { checkpointsOf, type Checkpoint } from '../checkpoints/checkpoints.js';
import { delayUntilOf } from '../outcome.js';
import { resultOf } from '../results.js';
import { whenAwaited } from '../waits/lazy-promise.js';
import { AT_ONCE, type Waits, type WaitsDependencies } from '../waits/waits.js';
import type { Child, ChildRowOf } from './child.js';
import { ChildrenFailedError, type FailedChild } from './errors.js';
import { childIds, flowOfChildren, type ChildIds } from './ids.js';
import { decidedBy, type Decided, type Edge, type Needed } from './outcome.js';

export interface ChildrenDependencies extends WaitsDependencies {
  /** Undefined where no tasks are known. */
  readonly childRow?: ChildRowOf | undefined;
}

/** A use of `children`. */
export interface Asked {
  readonly name: string;
  readonly children: readonly Child<unknown>[];
  readonly needed: Needed;
}

/** One child, with its ids. */
interface Own extends ChildIds {
  readonly child: Child<unknown>;
}

/** Edges per page. */
const PAGE = LIMITS.maxListPage;
/** Most bytes of inputs per call. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Delay before a retry while the children of the previous use are still being cancelled, ms. */
const BEFORE_NEXT_MS = 20;

export class ChildrenOfRun {
  /** The incoming edges of the execution by edge id, as earlier runs left them. Read once. */
  private known: Promise<ReadonlyMap<string, Edge>> | undefined;
  private isWaiting = false;

  constructor(
    private readonly attempt: Attempt,
    private readonly waits: Waits,
    private readonly deps: ChildrenDependencies,
  ) {}

  /** The results that decided the use, by index of the child. Begins when the promise is awaited. */
  run(asked: Asked): Promise<ReadonlyMap<number, unknown>> {
    return whenAwaited(async () => {
      if (this.isWaiting) throw new InvalidDefinitionError(...AT_ONCE);
      this.isWaiting = true;
      try {
        return await this.pass(asked);
      } finally {
        this.isWaiting = false;
      }
    });
  }

  private async pass(asked: Asked): Promise<ReadonlyMap<number, unknown>> {
    const checkpoints = checkpointsOf(this.attempt, this.deps);
    const checkpoint = await checkpoints.use('children', asked.name);
    try {
      const own = asked.children.map((child, place): Own => {
        return { child, ...childIds(this.attempt.executionId, checkpoint, place) };
      });
      const decided = await checkpoints.during(() => this.begin(checkpoint, asked, own));
      await this.waits.children(decided?.at);
      return await this.resultsOf(asked, own, decided as Decided);
    } finally {
      checkpoints.leave(checkpoint);
    }
  }

  /** Creates missing children. @returns the decision, if all children existed and it is made */
  private async begin(checkpoint: Checkpoint, asked: Asked, own: readonly Own[]): Promise<Decided | undefined> {
    const checkpoints = checkpointsOf(this.attempt, this.deps);
    const { passed } = checkpoint;
    const plan = planOf(asked);
    if (passed !== undefined) checkSame(checkpoint, passed.value, plan);
    const known = await (this.known ??= this.read());
    const missing = own.filter(({ edgeId }) => !known.has(edgeId));
    if (missing.length === 0)
      return decidedBy(
        own.map(({ edgeId }) => known.get(edgeId) as Edge),
        asked.needed,
      );
    const rows = await this.rowsOf(missing);
    if (passed === undefined)
      checkSame(checkpoint, (await checkpoints.record(checkpoint, { failed: false, value: plan })).value, plan);
    for (const part of partsOf(rows)) await this.spawn(part, asked.needed);
    return undefined;
  }

  private async rowsOf(missing: readonly Own[]) {
    const { childRow } = this.deps;
    if (childRow === undefined) throw new InvalidDefinitionError('children: the worker has no tasks to make them of');
    const now = this.attempt.serverNow();
    return Promise.all(
      missing.map(async ({ child, executionId, edgeId }) => ({
        ...(await childRow(child, now)),
        executionId,
        edgeId,
      })),
    );
  }

  /** Creates children under the fence, atomically. */
  private async spawn(children: Awaited<ReturnType<ChildrenOfRun['rowsOf']>>, needed: Needed): Promise<void> {
    const { attempt, deps } = this;
    const { executionId, fence } = attempt;
    const { leaseId, leaseEpoch, attemptId } = fence;
    const args = {
      executionId,
      fence: { leaseId, leaseEpoch, attemptId },
      flowId: flowOfChildren(executionId),
      policy: policyOf(needed),
      children,
    };
    for (;;) {
      attempt.throwIfLost();
      try {
        await untilAnswered(attempt, deps.clock, () => deps.backend.spawnChildren(args));
        return;
      } catch (error) {
        if (asEngineError(error)?.code !== 'execution_not_eligible') throw error;
      }
      await sleep(deps.clock, BEFORE_NEXT_MS);
    }
  }

  private async read(): Promise<ReadonlyMap<string, Edge>> {
    const edges = new Map<string, Edge>();
    const { attempt, deps } = this;
    const { executionId, claimed } = attempt;
    // The first owner of an execution has no edges.
    if (claimed.leaseEpoch === 1) return edges;
    for (let cursor: string | undefined; ; ) {
      const from = cursor;
      const page = await untilAnswered(attempt, deps.clock, () =>
        deps.backend.listEdges({ executionId, direction: 'incoming', cursor: from, limit: PAGE }),
      );
      for (const edge of page.edges) edges.set(edge.edgeId, edge);
      cursor = page.nextCursor;
      if (cursor === undefined) return edges;
    }
  }

  private async resultsOf(
    { name }: Asked,
    own: readonly Own[],
    { kind, places }: Decided,
  ): Promise<ReadonlyMap<number, unknown>> {
    if (kind === 'impossible')
      throw new ChildrenFailedError(name, own.length, await Promise.all(places.map((at) => this.failed(own, at))));
    const results = places.map(async (at): Promise<[number, unknown]> => {
      return [at, await this.resultOf((own[at] as Own).executionId)];
    });
    return new Map(await Promise.all(results));
  }

  /** The result of a child. If the child was replayed since, waits for its end. */
  private async resultOf(executionId: string): Promise<unknown> {
    const { attempt, deps } = this;
    for (;;) {
      try {
        return await resultOf(executionId, deps.backend, (call) => untilAnswered(attempt, deps.clock, call));
      } catch (error) {
        const until = delayUntilOf(error);
        if (until === undefined || until === 'invalid' || !('inMs' in until)) throw error;
        await sleep(deps.clock, until.inMs);
        attempt.throwIfAborted();
      }
    }
  }

  private async failed(own: readonly Own[], index: number): Promise<FailedChild> {
    const { attempt, deps } = this;
    const { executionId, child } = own[index] as Own;
    const info = await untilAnswered(attempt, deps.clock, () => deps.backend.readExecutionInfo({ executionId }));
    const reason = info?.failureReason ?? info?.cancellationReason ?? '';
    return {
      index,
      id: executionId,
      task: child.task,
      state: info?.publicState ?? 'failed',
      message: partsOfFailure(reason).summary,
      category: info?.failureCategory,
    };
  }
}

/** The record of a use, which reveals a handler whose code was changed. */
function planOf({ children, needed }: Asked) {
  return { needed: needed.kind === 'all' ? 'all' : `${needed.k}`, tasks: children.map(({ task }) => task) };
}

/** @throws EngineError `step_changed` */
function checkSame({ name, index }: Checkpoint, recorded: unknown, plan: ReturnType<typeof planOf>): void {
  if (JSON.stringify(recorded) === JSON.stringify(plan)) return;
  throw new EngineError(
    'step_changed',
    `children ${JSON.stringify(name)} (use ${index + 1} of the name) asks for other tasks than an earlier run of this execution, or for more or fewer.`,
    { detail: { stepName: name, stepIndex: String(index) } },
  );
}

function policyOf(needed: Needed) {
  if (needed.kind === 'all') return { kind: 'all_of' } as const;
  const { kind, k, onSatisfied } = needed;
  return kind === 'any' ? ({ kind: 'any_of', onSatisfied } as const) : ({ kind, k, onSatisfied } as const);
}

/** Children in calls of bounded size. */
function partsOf<Row extends { readonly inputPayload?: Uint8Array | undefined }>(rows: readonly Row[]): Row[][] {
  const parts: Row[][] = [];
  let bytes = 0;
  for (const row of rows) {
    const size = row.inputPayload?.byteLength ?? 0;
    const part = parts.at(-1);
    if (part === undefined || part.length === LIMITS.maxMembersPerCall || bytes + size > MAX_BYTES) {
      parts.push([row]);
      bytes = size;
    } else {
      part.push(row);
      bytes += size;
    }
  }
  return parts;
}
