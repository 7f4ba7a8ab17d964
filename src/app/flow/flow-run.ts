/** A flow that the engine knows. */
import { OUTRUN } from '../../../model/flow/cascade.js';
import type { FlowMember } from '../../../model/flow/reads.js';
import { partitionIndexOf, uuidOfExecution } from '../../../model/ids.js';
import { LIMITS } from '../../../model/limits.js';
import type { AnswerOf } from '../../../model/machine.js';
import { cancelFlow } from '../../engine/cancel-flow.js';
import { sleep, spread } from '../../engine/clock.js';
import { isRetryable, withRetries } from '../../engine/retry.js';
import { onAbort } from '../../shared/abort-listeners.js';
import { checkDuration, refuse } from '../../shared/checks.js';
import { durationMs } from '../../shared/duration.js';
import {
  FlowCancelledError,
  FlowFailedError,
  ResultTimeoutError,
  RunNotFoundError,
  RunSkippedError,
} from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { fill, labelsOf } from '../../shared/template.js';
import { printed } from '../../util/printed.js';
import { boundText } from '../../util/text.js';
import { CALL_PATIENCE_MS } from '../patience.js';
import { checkResultOptions, KnownRun, type ResultOptions, type RunSurroundings } from '../runs/run.js';
import { explain } from '../../engine/explain.js';
import { explainFlow } from './explain.js';
import { childOfMember } from './child-rows.js';
import type { FlowCancelOptions, FlowChild, FlowExplanation, FlowInfo, FlowRun, FlowState } from './flow.js';
import { memberId } from './members.js';
import { calledBy } from '../runs/tags.js';
import { storedIn } from './stored.js';

const CANCEL_OPTIONS = { reason: true, running: true, wait: true } as const;

/** Between two looks at a flow that is waited for as a whole, ms: each is longer than the one before. */
const FIRST_LOOK_MS = 20;
const LAST_LOOK_MS = 1_000;
/** Members that one call lists. */
const PAGE = 100;
/** Members that an error names, and bytes of the message of each. */
const MAX_NAMED = 10;
const MAX_MESSAGE_BYTES = 500;

type Snapshot = NonNullable<AnswerOf<'describeFlow'>>;

const BAD_ENDS: ReadonlySet<string> = new Set(['failed', 'cancelled', 'expired']);
const ENDS: ReadonlySet<string> = new Set(['completed', 'skipped', ...BAD_ENDS]);

/** Whether something of it may still happen. */
const isLive = ({ members, building }: Snapshot): boolean =>
  building || Object.keys(members).some((state) => !ENDS.has(state));

/** A flow by its id. */
export class KnownFlowRun<Output> implements FlowRun<Output> {
  static {
    printed(KnownFlowRun.prototype, 'FlowRun');
  }

  constructor(
    private readonly surroundings: RunSurroundings,
    readonly id: string,
    readonly deduplicated: boolean,
    /** What it was created with, where this process created it. */
    private readonly stored?: Snapshot['tags'],
  ) {}

  async result(options: ResultOptions = {}): Promise<Output> {
    checkResultOptions(options);
    const { timeout, signal } = options;
    const { clock } = this.surroundings;
    const timeoutMs = timeout === undefined ? undefined : durationMs(timeout);
    const startedAt = clock.now();
    const leftMs = (): number => Math.max(0, (timeoutMs ?? Infinity) - (clock.now() - startedAt));
    const { output } = storedIn(this.stored ?? (await this.looked(() => true, leftMs, options)).tags);
    if (output === undefined) {
      const isOver = (flow: Snapshot): boolean => !isLive(flow);
      const flow = await this.whileMoving(signal, (limit) => this.looked(isOver, leftMs, { timeout, signal: limit }));
      return this.judged(flow) as Promise<Output>;
    }
    const place = { uuid: uuidOfExecution(this.id), partition: partitionIndexOf(this.id) };
    const results = labelsOf(output).map(async (label): Promise<[string, unknown]> => {
      const run = new KnownRun<unknown>(this.surroundings, memberId(place, Number(label)), true);
      return [label, await run.result({ signal, timeout: timeout === undefined ? undefined : leftMs() })];
    });
    try {
      return fill(output, new Map(await Promise.all(results))) as Output;
    } catch (error) {
      throw error instanceof RunSkippedError ? await this.explained(error) : error;
    }
  }

  /** Waits until nothing can end the wait any more: see `standstill`. */
  private async whileMoving<T>(
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

  /** A skipped member with the members that are to blame, where they can be read. */
  private async explained(error: RunSkippedError): Promise<RunSkippedError> {
    const failed = await this.badlyEnded(MAX_NAMED).catch(() => []);
    return new RunSkippedError(error.executionId, error.task, failed);
  }

  /** The flow, as soon as it is what is waited for. While the store cannot be reached, the wait goes on. */
  private async looked(
    isWanted: (flow: Snapshot) => boolean,
    leftMs: () => number,
    { timeout = 0, signal }: ResultOptions,
  ): Promise<Snapshot> {
    const { clock } = this.surroundings;
    for (let lookMs = FIRST_LOOK_MS; ; lookMs = Math.min(2 * lookMs, LAST_LOOK_MS)) {
      let trouble: unknown;
      try {
        const flow = await this.snapshot(0);
        if (isWanted(flow)) return flow;
      } catch (error) {
        if (!isRetryable(error)) throw error;
        trouble = error;
      }
      signal?.throwIfAborted();
      if (leftMs() === 0) throw new ResultTimeoutError(this.id, durationMs(timeout), trouble);
      await sleep(clock, Math.min(spread(clock, lookMs, 0.2), leftMs()), signal);
    }
  }

  private async judged(flow: Snapshot): Promise<undefined> {
    if (flow.publicFlowState === 'cancelled') throw new FlowCancelledError(this.id, flow.cancelReason ?? '');
    const failed = await this.failedOf(flow, MAX_NAMED);
    if (failed.length > 0) throw new FlowFailedError(this.id, failed);
  }

  /** Members that make a flow a failed one, at most so many. */
  private async failedOf({ publicFlowState }: Snapshot, limit: number): Promise<readonly FlowChild[]> {
    return publicFlowState === 'failed' ? this.badlyEnded(limit) : [];
  }

  /** Members that did not complete, at most so many: without those that a race has outrun, or that were skipped. */
  private async badlyEnded(limit: number): Promise<readonly FlowChild[]> {
    const ended: FlowMember[] = [];
    for await (const member of this.membersListed()) {
      const isBad = BAD_ENDS.has(member.publicState) && member.cancellationReason !== OUTRUN;
      if (isBad && ended.push(member) === limit) break;
    }
    const rows = await Promise.all(ended.map((member) => this.rowOf(member)));
    return rows.map((row) => ({ ...row, message: boundText(row.message, MAX_MESSAGE_BYTES) }));
  }

  private rowOf(member: FlowMember): Promise<FlowChild> {
    const { backend } = this.surroundings;
    return childOfMember(member, (executionId) => this.call(() => backend.readExecutionInfo({ executionId })));
  }

  /** To the engine a flow with a cancelled member has failed; to whoever ran a race, it has not. */
  private async stateOf(flow: Snapshot): Promise<FlowState> {
    const { publicFlowState } = flow;
    return publicFlowState === 'failed' && (await this.failedOf(flow, 1)).length === 0 ? 'completed' : publicFlowState;
  }

  async cancel(given: FlowCancelOptions | string = {}): Promise<boolean> {
    const where = 'cancel of a flow';
    const options = typeof given === 'string' ? { reason: given } : given;
    knownOnly<FlowCancelOptions>(where, options, CANCEL_OPTIONS);
    const { reason = '', running = 'cancel', wait = false } = options;
    if (typeof reason !== 'string') throw refuse(where, 'reason', 'a string', reason);
    if (running !== 'cancel' && running !== 'let_run') throw refuse(where, 'running', 'cancel or let_run', running);
    if (typeof wait !== 'boolean') checkDuration(where, 'wait', wait, 0, LIMITS.maxDurationMs);
    const { backend, clock } = this.surroundings;
    const cancelled = await cancelFlow(backend, {
      flowId: this.id,
      reason: boundText(reason, LIMITS.maxReasonBytes),
      cancellationPolicy: running === 'cancel' ? 'cancel_all' : 'cancel_pending',
      wait: typeof wait === 'boolean' ? wait : durationMs(wait),
      clock,
    });
    return cancelled.kind !== 'already_terminal';
  }

  async state(): Promise<FlowState> {
    return this.stateOf(await this.snapshot());
  }

  async info(): Promise<FlowInfo> {
    const flow = await this.snapshot();
    return {
      id: this.id,
      ...calledBy(flow.tags),
      flow: flow.flowKind,
      state: await this.stateOf(flow),
      members: flow.members,
      createdAt: flow.createdAt,
      cancelledAt: flow.cancelledAt,
      cancelReason: flow.cancelReason,
    };
  }

  async explain(): Promise<FlowExplanation> {
    const { backend, clock } = this.surroundings;
    const flow = await this.snapshot();
    return explainFlow(await this.stateOf(flow), this.liveMembers(flow), (executionId) =>
      withRetries(clock, CALL_PATIENCE_MS, () => explain(backend, executionId)),
    );
  }

  get children(): AsyncIterable<FlowChild> {
    return { [Symbol.asyncIterator]: () => this.listed() };
  }

  toJSON(): object {
    const { id, deduplicated } = this;
    return { id, deduplicated };
  }

  private async *listed(): AsyncGenerator<FlowChild, void, undefined> {
    for await (const page of this.pages()) yield* await Promise.all(page.map((member) => this.rowOf(member)));
  }

  private async *membersListed(): AsyncGenerator<FlowMember, void, undefined> {
    for await (const page of this.pages()) yield* page;
  }

  private async *liveMembers(flow: Snapshot): AsyncGenerator<FlowMember, void, undefined> {
    if (!isLive(flow)) return;
    for await (const member of this.membersListed()) if (!ENDS.has(member.publicState)) yield member;
  }

  private async *pages(): AsyncGenerator<readonly FlowMember[], void, undefined> {
    const { backend } = this.surroundings;
    let cursor: number | undefined;
    do {
      const page = await this.call(() => backend.listFlowMembers({ flowId: this.id, cursor, limit: PAGE }));
      yield page.members;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }

  private async snapshot(patienceMs = CALL_PATIENCE_MS): Promise<Snapshot> {
    const { backend, clock } = this.surroundings;
    const flow = await withRetries(clock, patienceMs, () => backend.describeFlow({ flowId: this.id }));
    if (flow === undefined) throw new RunNotFoundError(this.id);
    return flow;
  }

  private call<T>(read: () => Promise<T>): Promise<T> {
    return withRetries(this.surroundings.clock, CALL_PATIENCE_MS, read);
  }
}
