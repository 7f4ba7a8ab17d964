/** A flow that the engine knows. */
import { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import { cancelFlow } from '../../engine/cancel-flow.js';
import { sleep, spread } from '../../engine/clock.js';
import { replayMany, type ReplayReport } from '../../engine/replay-many.js';
import { isRetryable } from '../../engine/retry.js';
import { onAbort, untilAborted } from '../../shared/abort-listeners.js';
import { checkDuration, refuse } from '../../shared/checks.js';
import { durationMs } from '../../shared/duration.js';
import {
  FlowCancelledError,
  FlowFailedError,
  ResultTimeoutError,
  RunCancelledError,
  RunNotFoundError,
  RunSkippedError,
  RunStateError,
} from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { fill, labelsOf } from '../../shared/template.js';
import { printed } from '../../util/printed.js';
import { boundText } from '../../util/text.js';
import { checkedReplay, type ReplayOptions } from '../operating/dead-letters.js';
import { patiently } from '../patience.js';
import { checkResultOptions, KnownRun, type ResultOptions, type RunSurroundings } from '../runs/run.js';
import { reportingTimeout } from '../runs/started.js';
import { explain, type NameMeters } from '../../engine/explain.js';
import { meterNamesOf } from '../metering/meter-names.js';
import { explainFlow } from './explain.js';
import { ChildRows } from './child-rows.js';
import { deadMembers } from './dead-members.js';
import type { FlowCancelOptions, FlowChild, FlowExplanation, FlowInfo, FlowRun, FlowState } from './flow.js';
import {
  failedOf,
  isBeingBuilt,
  isLive,
  memberPages,
  stateOf,
  type FlowSnapshot as Snapshot,
  type Listed,
} from './listed-members.js';
import { FlowIds } from './ids.js';
import { calledBy } from '../runs/tags.js';
import { addUsage, usageOfRun, type RunUsage } from '../runs/usage.js';
import { needBudget, type BudgetRef } from '../../worker/budgets/spending.js';
import { storedIn } from './stored.js';

const CANCEL_OPTIONS = { reason: true, running: true, wait: true } as const;

/** Errors of members that may not have run because their flow was cancelled. */
const NEVER_RAN = [RunCancelledError, RunSkippedError, RunNotFoundError];

/** Pause between two reads of a flow whose end is awaited, ms; it doubles with each read. */
const FIRST_POLL_MS = 20;
const MAX_POLL_MS = 1_000;

/** A flow by its id. */
export class KnownFlowRun<Output> implements FlowRun<Output> {
  static {
    printed(KnownFlowRun.prototype, 'FlowRun');
  }

  constructor(
    private readonly surroundings: RunSurroundings,
    readonly id: string,
    readonly deduplicated: boolean,
    /** The tags with which this process created it; absent if it did not. */
    private readonly stored?: Snapshot['tags'],
  ) {}

  async result(options: ResultOptions = {}): Promise<Output> {
    checkResultOptions(options);
    const { timeout, signal } = options;
    const { closing } = this.surroundings;
    return untilAborted(signal === undefined ? [closing] : [signal, closing], (either) =>
      this.resultUntil({ timeout, signal: either }),
    );
  }

  private async resultUntil({ timeout, signal }: ResultOptions): Promise<Output> {
    const { clock } = this.surroundings;
    const timeoutMs = timeout === undefined ? undefined : durationMs(timeout);
    const startedAt = clock.now();
    const leftMs = (): number => Math.max(0, (timeoutMs ?? Infinity) - (clock.now() - startedAt));
    const flowWhen = (isWanted: (flow: Snapshot) => boolean): Promise<Snapshot> =>
      this.untilStandstill(signal, (limit) => this.snapshotWhen(isWanted, leftMs, { timeout, signal: limit }));
    // Another process may still be creating the members.
    const { output } = storedIn(this.stored ?? (await flowWhen((flow) => !isBeingBuilt(flow))).tags);
    if (output === undefined) return this.checkCompleted(await flowWhen((flow) => !isLive(flow))) as Promise<Output>;
    const ids = new FlowIds(this.id);
    const results = labelsOf(output).map(async (label): Promise<[string, unknown]> => {
      const run = new KnownRun<unknown>(this.surroundings, ids.member(Number(label)), true);
      if (timeoutMs === undefined) return [label, await run.result({ signal })];
      return [label, await reportingTimeout(timeoutMs, run.result({ signal, timeout: leftMs() }))];
    });
    const values = await Promise.all(results).catch(async (error: unknown) => {
      // A member that never ran, or was never created, because the flow was cancelled is not what its caller asks about.
      if (NEVER_RAN.some((kind) => error instanceof kind))
        this.checkNotCancelled(await this.snapshotWhen(() => true, leftMs, { timeout, signal }));
      throw error;
    });
    return fill(output, new Map(values)) as Output;
  }

  /** Waits; rejects when nothing can end the wait any more (`standstill`). */
  private async untilStandstill<T>(
    signal: AbortSignal | undefined,
    wait: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    const { standstill } = this.surroundings;
    if (standstill === undefined) return wait(signal);
    const limit = new AbortController();
    const stopListening = signal && onAbort(signal, () => limit.abort(signal.reason));
    const giveUp = (error: unknown): void => limit.abort(error);
    const stopWatching = standstill({ id: this.id, explain: () => this.explain(), giveUp });
    try {
      return await wait(limit.signal);
    } finally {
      stopWatching();
      stopListening?.();
    }
  }

  /** The flow as soon as it meets a condition. While the store is unreachable, the wait continues. */
  private async snapshotWhen(
    isWanted: (flow: Snapshot) => boolean,
    leftMs: () => number,
    { timeout = 0, signal }: ResultOptions,
  ): Promise<Snapshot> {
    const { clock, maxPollMs = MAX_POLL_MS } = this.surroundings;
    for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(2 * pollMs, maxPollMs)) {
      let fault: unknown;
      try {
        const flow = await this.snapshot(0);
        if (isWanted(flow)) return flow;
      } catch (error) {
        if (!isRetryable(error)) throw error;
        fault = error;
      }
      signal?.throwIfAborted();
      if (leftMs() === 0) throw new ResultTimeoutError(this.id, durationMs(timeout), fault);
      await sleep(clock, Math.min(spread(clock, pollMs, 0.2), leftMs()), signal);
    }
  }

  private checkNotCancelled({ publicFlowState, cancelReason = '' }: Snapshot): void {
    if (publicFlowState === 'cancelled') throw new FlowCancelledError(this.id, cancelReason);
  }

  private async checkCompleted(flow: Snapshot): Promise<undefined> {
    this.checkNotCancelled(flow);
    const failed = await failedOf(this.listed, flow);
    if (failed.length > 0) throw new FlowFailedError(this.id, failed);
  }

  async cancel(given: FlowCancelOptions | string = {}): Promise<boolean> {
    const where = 'cancel of a flow';
    const options = typeof given === 'string' ? { reason: given } : given;
    knownOnly<FlowCancelOptions>(where, options, CANCEL_OPTIONS);
    const { reason = '', running = 'cancel', wait = false } = options;
    if (typeof reason !== 'string') throw refuse(where, 'reason', 'a string', reason);
    if (running !== 'cancel' && running !== 'let_run') throw refuse(where, 'running', 'cancel or let_run', running);
    if (typeof wait !== 'boolean') checkDuration(where, 'wait', wait, 0, LIMITS.maxDurationMs);
    const { backend, clock, closing } = this.surroundings;
    closing.throwIfAborted();
    try {
      const cancelled = await cancelFlow(backend, {
        flowId: this.id,
        reason: boundText(reason, LIMITS.maxReasonBytes),
        cancellationPolicy: running === 'cancel' ? 'cancel_all' : 'cancel_pending',
        wait: typeof wait === 'boolean' ? wait : durationMs(wait),
        signal: closing,
        clock,
      });
      return !cancelled.alreadyTerminal;
    } catch (error) {
      closing.throwIfAborted();
      if (error instanceof EngineError && error.code === 'flow_not_found') throw new RunNotFoundError(this.id);
      throw error;
    }
  }

  async replay(options: ReplayOptions = {}): Promise<ReplayReport> {
    const asked = checkedReplay('replay of a flow', options);
    const { publicFlowState } = await this.snapshot();
    if (publicFlowState === 'cancelled') throw new RunStateError(this.id, 'flow_cancelled');
    const { backend, clock } = this.surroundings;
    const { call } = this.listed;
    return replayMany(backend, deadMembers(this.listed), { ...asked, after: undefined, clock, call });
  }

  async state(): Promise<FlowState> {
    return stateOf(this.listed, await this.snapshot());
  }

  async info(): Promise<FlowInfo> {
    return infoOf(this.listed, await this.snapshot());
  }

  async explain(): Promise<FlowExplanation> {
    const { backend, tasks } = this.surroundings;
    const flow = await this.snapshot();
    const nameMeters: NameMeters = (info) => meterNamesOf(backend, tasks.taskOf(info), info);
    return explainFlow(this.listed, flow, (executionId) =>
      this.listed.call(() => explain(backend, executionId, nameMeters)),
    );
  }

  async usage(...budgets: readonly BudgetRef[]): Promise<readonly RunUsage[]> {
    for (const budget of budgets) needBudget('usage()', budget);
    await this.snapshot();
    const { backend, tasks } = this.surroundings;
    const sums = new Map<string, RunUsage>();
    for await (const { members, damaged } of memberPages(this.listed)) {
      if (damaged.length > 0)
        throw new EngineError('corruption', `${damaged.join(', ')}: is unreadable, so the sum is unknown.`);
      const usage = members.map(({ executionId }) =>
        this.listed.call(() => usageOfRun(backend, executionId, tasks.taskOf, budgets)),
      );
      for (const used of await Promise.all(usage)) addUsage(sums, used ?? []);
    }
    return [...sums.values()];
  }

  get children(): AsyncIterable<FlowChild> {
    return { [Symbol.asyncIterator]: () => this.rows() };
  }

  toJSON(): object {
    const { id, deduplicated } = this;
    return { id, deduplicated };
  }

  private async *rows(): AsyncGenerator<FlowChild, void, undefined> {
    const rows = new ChildRows(this.surroundings.backend, this.listed.call);
    for await (const { members } of memberPages(this.listed))
      yield* await Promise.all(members.map((it) => rows.ofMember(it)));
  }

  private get listed(): Listed {
    const { surroundings } = this;
    return { backend: surroundings.backend, flowId: this.id, call: (read) => patiently(surroundings, read) };
  }

  private async snapshot(patienceMs?: number): Promise<Snapshot> {
    const { backend } = this.surroundings;
    const flow = await patiently(this.surroundings, () => backend.describeFlow({ flowId: this.id }), patienceMs);
    if (flow === undefined) throw new RunNotFoundError(this.id);
    return flow;
  }
}

/** What users see of a flow. */
export const infoOf = async (listed: Listed, flow: Snapshot): Promise<FlowInfo> => ({
  id: flow.flowId,
  ...calledBy(flow.tags),
  flow: flow.flowKind,
  state: await stateOf(listed, flow),
  members: flow.members,
  createdAt: flow.createdAt,
  cancelledAt: flow.cancelledAt,
  cancelReason: flow.cancelReason,
});
