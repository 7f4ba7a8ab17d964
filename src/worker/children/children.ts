/**
 * The children of one run of a handler. A use of `children` is a checkpoint, recorded when its children are created.
 * Their outcome follows from the edges that lead from them to their parent, so every later run finds the same outcome,
 * and nothing is recorded when the children have ended.
 */
import { present } from '../../../model/core/present.js';
import { NO_QUORUM, SIBLING_SATISFIED, WALKER } from '../../../model/flow/cancellation.js';
import type { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import { sleep } from '../../engine/clock.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { asEngineError } from '../../util/engine-error.js';
import { partsOfFailure } from '../../util/failure-text.js';
import type { Attempt } from '../attempt/attempt.js';
import { untilAnswered } from '../checkpoints/calls.js';
import { checkpointsOf, type Checkpoint, type Checkpoints } from '../checkpoints/checkpoints.js';
import { delayUntilOf } from '../handler/outcome.js';
import { promisesOf } from '../handler/promises.js';
import { resultOf } from '../start/results.js';
import { whenAwaited } from '../waits/lazy-promise.js';
import type { Waits, WaitsDependencies } from '../waits/waits.js';
import type { Child, ChildRowOf } from './child.js';
import { ChildrenFailedError, type FailedChild } from './errors.js';
import { childIds, flowOfChildren, type ChildIds } from './ids.js';
import { decidedBy, stillNeeded, type Decided, type Edge, type Needed } from './outcome.js';

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

/** A use that has begun: its children exist. */
interface Begun {
  readonly asked: Asked;
  readonly own: readonly Own[];
}

/** The incoming edges of the execution, as they were last read. */
interface Known {
  /** By edge id. */
  readonly edges: ReadonlyMap<string, Edge>;
  /** How many ends of children had been recorded. */
  readonly endedCount: number;
}

const NOTHING_KNOWN: Known = { edges: new Map(), endedCount: 0 };

export class ChildrenOfRun {
  private known: Known | undefined;
  private reading: Promise<void> | undefined;
  /** The newest group that was read. */
  private lastRound = 0;
  /** The use that created the newest group of the execution in this run. */
  private newest: Asked | undefined;
  /** Uses begin one after the other, so that each has its number and its group. */
  private beginning: Promise<void> = Promise.resolve();

  constructor(
    private readonly attempt: Attempt,
    private readonly waits: Waits,
    private readonly deps: ChildrenDependencies,
  ) {}

  /** The results that decided the use, by index of the child. Begins when the promise is awaited. */
  run(asked: Asked): Promise<ReadonlyMap<number, unknown>> {
    return whenAwaited(() => {
      const promises = promisesOf(this.attempt, this.deps);
      const what = `children ${JSON.stringify(asked.name)}`;
      return promises.isOver ? promises.never(what) : promises.follow(what, this.decide(asked));
    });
  }

  private async decide(asked: Asked): Promise<ReadonlyMap<number, unknown>> {
    const index = checkpointsOf(this.attempt, this.deps).nextUse(asked.name);
    const begun = await this.inTurn(() => this.begin(asked, index));
    const { own } = begun;
    let decided: Decided | undefined;
    await this.waits.children({
      // It stays: if the execution ended elsewhere and was replayed, edges that decided it can be open again.
      decided: () => (decided ??= this.decidedIn(begun)),
      seenCount: () => this.known?.endedCount ?? 0,
      neededCount: () => stillNeeded(this.edgesOf(own), asked.needed, own.length),
      isGroup: () => this.isGroup(begun),
      look: () => this.look(),
    });
    return this.waits.during(async () => {
      const decision = present(decided);
      await this.cancelRest(begun, decision);
      return this.resultsOf(asked, own, decision);
    });
  }

  /** The edges of those children that existed at the last read. */
  private edgesOf(own: readonly Own[]): readonly Edge[] {
    return own.flatMap(({ edgeId }) => this.known?.edges.get(edgeId) ?? []);
  }

  private decidedIn({ asked, own }: Begun): Decided | undefined {
    const edges = this.edgesOf(own);
    return edges.length === own.length ? decidedBy(edges, asked.needed) : undefined;
  }

  private inTurn<T>(begin: () => Promise<T>): Promise<T> {
    const checkpoints = checkpointsOf(this.attempt, this.deps);
    const begun = checkpoints.during(() => this.beginning.then(begin));
    this.beginning = begun.then(
      () => undefined,
      () => undefined,
    );
    return begun;
  }

  private async begin(asked: Asked, index: number): Promise<Begun> {
    const checkpoints = checkpointsOf(this.attempt, this.deps);
    const checkpoint = await checkpoints.use('children', asked.name, index);
    try {
      const own = asked.children.map((child, place): Own => {
        return { child, ...childIds(this.attempt.executionId, checkpoint, place) };
      });
      const plan = planOf(asked);
      if (checkpoint.passed !== undefined) checkSame(checkpoints, checkpoint, checkpoint.passed.value, plan);
      // The first owner of an execution has no edges of earlier runs.
      if (this.attempt.claimed.leaseEpoch === 1) this.known ??= NOTHING_KNOWN;
      else if (this.known === undefined) await this.look();
      const begun = { asked, own };
      const exists = ({ edgeId }: Own): boolean => this.known?.edges.has(edgeId) === true;
      const missing = own.filter((each) => !exists(each));
      if (checkpoint.passed === undefined) {
        // A replay that discards its records leaves its children.
        await this.checkLeft(checkpoints, checkpoint, own.filter(exists));
      } else if (missing.length === 0) return begun;
      const rows = await this.rowsOf(missing);
      if (checkpoint.passed === undefined) {
        const { value } = await checkpoints.record(checkpoint, { failed: false, value: plan });
        checkSame(checkpoints, checkpoint, value, plan);
      }
      if (rows.length > 0) await this.createAll(begun, rows);
      return begun;
    } finally {
      checkpoints.leave(checkpoint);
    }
  }

  /** @throws EngineError `step_changed` if children that exist are of other tasks */
  private async checkLeft(checkpoints: Checkpoints, checkpoint: Checkpoint, left: readonly Own[]): Promise<void> {
    await Promise.all(
      left.map(async ({ executionId, child }) => {
        const info = await this.infoOf(executionId);
        if (info !== undefined && info.executionKind !== child.task) throw otherTasks(checkpoints, checkpoint);
      }),
    );
  }

  /**
   * Creates children, in as many calls as their inputs take. The engine would decide an `any` or a `quorum` by the first
   * of several calls. So each call then makes a group that cancels nothing, and this worker decides the use and cancels
   * the rest.
   */
  private async createAll(begun: Begun, rows: Awaited<ReturnType<ChildrenOfRun['rowsOf']>>): Promise<void> {
    const { asked, own } = begun;
    const parts = partsOf(rows);
    const isWhole = parts.length === 1 && rows.length === own.length;
    const isDecidedHere = !isWhole && asked.needed.kind !== 'all';
    const policy = isDecidedHere ? ({ kind: 'any_of', onSatisfied: 'let_run' } as const) : policyOf(asked.needed);
    let asNewGroup = isDecidedHere || !this.isGroup(begun);
    for (const part of parts) {
      await this.spawn(part, policy, asNewGroup);
      asNewGroup = isDecidedHere;
    }
    this.newest = isWhole ? asked : undefined;
    // An earlier part can have been decided before the last one was created, which was then a group of its own.
    if (!isWhole) await this.lookAgain();
  }

  /** Whether the group of the execution is about this use, or as much of it as exists. */
  private isGroup({ asked, own }: Begun): boolean {
    if (this.newest !== undefined) return this.newest === asked;
    const edges = this.edgesOf(own);
    return edges.length > 0 && edges.every(({ round }) => round === this.lastRound);
  }

  /**
   * Cancels children that a decided use no longer needs, if the engine has not: it decides only the newest group, and
   * only one that was created by one call.
   */
  private async cancelRest(begun: Begun, decided: Decided): Promise<void> {
    const { needed } = begun.asked;
    const { own } = begun;
    const edges = this.edgesOf(own);
    if (needed.kind === 'all' || needed.onSatisfied === 'let_run') return;
    if (this.isGroup(begun)) return;
    const { attempt, deps } = this;
    const reason = decided.kind === 'satisfied' ? SIBLING_SATISFIED : NO_QUORUM;
    const rest = own.filter((_, place) => edges[place]?.edgeState === 'unsatisfied');
    await Promise.all(
      rest.map(({ executionId }) =>
        untilAnswered(attempt, deps.clock, async () => {
          const cancel = deps.backend.cancelExecution({ executionId, reason, source: WALKER });
          await cancel.catch((error: unknown) => {
            if (asEngineError(error)?.code !== 'execution_not_active') throw error;
          });
        }),
      ),
    );
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
  private async spawn(
    children: Awaited<ReturnType<ChildrenOfRun['rowsOf']>>,
    policy: ReturnType<typeof policyOf>,
    asNewGroup: boolean,
  ): Promise<void> {
    const { attempt, deps } = this;
    const { executionId, fence } = attempt;
    const { leaseId, leaseEpoch, attemptId } = fence;
    const args = {
      executionId,
      fence: { leaseId, leaseEpoch, attemptId },
      flowId: flowOfChildren(executionId),
      policy,
      asNewGroup,
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

  /** Reads the edges. Concurrent callers share one read. */
  private look(): Promise<void> {
    this.reading ??= this.read()
      .then((known) => void (this.known = known))
      .finally(() => (this.reading = undefined));
    return this.reading;
  }

  /** Reads the edges after a read that is under way. */
  private async lookAgain(): Promise<void> {
    await this.reading?.catch(() => undefined);
    await this.look();
  }

  /** Reads until no child has ended between two pages: an end that is not seen would not be waited for. */
  private async read(): Promise<Known> {
    for (let before: number | undefined; ; ) {
      const { edges, isWhole } = await this.readEdges();
      const orders = Array.from(edges.values(), ({ endOrder = 0 }) => endOrder);
      const endedCount = orders.reduce((most, order) => Math.max(most, order), 0);
      if (isWhole || endedCount === before) {
        this.lastRound = Array.from(edges.values()).reduce((last, { round }) => Math.max(last, round), 0);
        return { edges, endedCount };
      }
      before = endedCount;
    }
  }

  private async readEdges(): Promise<{ edges: ReadonlyMap<string, Edge>; isWhole: boolean }> {
    const edges = new Map<string, Edge>();
    const { attempt, deps } = this;
    for (let cursor: string | undefined; ; ) {
      const from = cursor;
      const page = await untilAnswered(attempt, deps.clock, () =>
        deps.backend.listEdges({ executionId: attempt.executionId, direction: 'incoming', cursor: from, limit: PAGE }),
      );
      for (const edge of page.edges) edges.set(edge.edgeId, edge);
      cursor = page.nextCursor;
      if (cursor === undefined) return { edges, isWhole: from === undefined };
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
      return [at, await this.resultOf(present(own[at]).executionId)];
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
        attempt.throwIfInterrupted();
      }
    }
  }

  private async failed(own: readonly Own[], index: number): Promise<FailedChild> {
    const { executionId, child } = present(own[index]);
    const info = await this.infoOf(executionId);
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

  private infoOf(executionId: string) {
    const { attempt, deps } = this;
    return untilAnswered(attempt, deps.clock, () => deps.backend.readExecutionInfo({ executionId }));
  }
}

/** The record of a use, which reveals a handler with changed code. */
function planOf({ children, needed }: Asked) {
  return { needed: needed.kind === 'all' ? 'all' : `${needed.k}`, tasks: children.map(({ task }) => task) };
}

/** @throws EngineError `step_changed` */
function checkSame(
  checkpoints: Checkpoints,
  checkpoint: Checkpoint,
  recorded: unknown,
  plan: ReturnType<typeof planOf>,
): void {
  if (JSON.stringify(recorded) !== JSON.stringify(plan)) throw otherTasks(checkpoints, checkpoint);
}

const otherTasks = (checkpoints: Checkpoints, checkpoint: Checkpoint): EngineError =>
  checkpoints.changed(checkpoint, 'asks for other tasks than an earlier run of this execution, or for more or fewer');

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
