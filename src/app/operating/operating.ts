/** Operations on a run for operators: hold, prioritise, replay and tag it. */
import { EngineError } from '../../../model/errors.js';
import { DEPENDENCIES_FAILED, FLOW_UNSETTLED } from '../../../model/execution/replay.js';
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import { replaySkipped } from '../../engine/replay-skipped.js';
import { isRetryable } from '../../engine/retry.js';
import { refuse } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import { ReplayIncompleteError, RunNotFoundError, RunStateError, type RunStateProblem } from '../../shared/errors.js';
import { messageOf } from '../../util/thrown.js';
import { patiently, type Caller } from '../patience.js';
import type { Tags } from '../runs/tags.js';
import { checkTags } from '../tasks/task-checks.js';
import { askedBy, stepsOf, type OperatorOptions, type ReplaySteps } from './asked-by.js';

export interface RunReplayOptions extends OperatorOptions, ReplaySteps {}

/** The operations on a run for operators, besides `cancel`. */
export interface RunOperating {
  /**
   * Keeps the run from starting; its position and delay are kept. A running handler continues, and the hold takes
   * effect when it hands the run back, fails or is lost. The hold ends with the run. Can be repeated.
   * @throws RunStateError `ended`; RunNotFoundError
   */
  hold(options?: OperatorOptions): Promise<void>;
  /** Releases a held run to its former position. Does nothing if the run is not held. @throws RunNotFoundError */
  release(options?: OperatorOptions): Promise<void>;
  /**
   * Changes the priority of a run that waits: 0 to 9 000, higher starts first. Among equals it is sorted by age.
   * @throws RunStateError `running`, `suspended` or `ended`; RunNotFoundError; InvalidDefinitionError for any other number
   */
  setPriority(priority: number, options?: Pick<OperatorOptions, 'requestedBy'>): Promise<void>;
  /**
   * Runs an ended run again under its id, with its original input, at most ten times. Its result or failure is dropped,
   * its retries start over, and a deadline that has passed is removed. `result()` waits for the new end. Steps and
   * waits that it passed are kept, unless `steps: 'discard'`. Members of its flow that were skipped because of it run
   * again too, as soon as no other failure stands in their way. For a member that runs again already, the call only
   * continues with those.
   * @returns how often the run has been replayed, including this time
   * @throws RunStateError `not_ended`, `replayed_too_often`, `dependencies_failed`, `flow_unsettled` or
   *   `flow_cancelled`; RunNotFoundError; ReplayIncompleteError if it was replayed and skipped members were not
   */
  replay(options?: RunReplayOptions): Promise<number>;
  /** Adds or replaces tags, also after the run has ended. @throws RunNotFoundError, InvalidDefinitionError */
  setTags(tags: Tags): Promise<void>;
}

export interface OperatingSurroundings extends Caller {
  readonly backend: Backend;
}

/** Members that an error names. */
const MAX_NAMED = 10;

/** Refusals of the engine, by their meaning for a run. */
const PROBLEMS: Readonly<Partial<Record<string, RunStateProblem>>> = {
  execution_not_active: 'ended',
  target_not_signalable: 'ended',
  execution_not_terminal: 'not_ended',
  max_replays_exhausted: 'replayed_too_often',
  flow_already_terminal: 'flow_cancelled',
};

function problemOf({ code, detail }: EngineError): RunStateProblem | undefined {
  if (code !== 'execution_not_eligible') return PROBLEMS[code];
  const { lifecyclePhase, reason } = detail;
  if (reason === FLOW_UNSETTLED || reason === DEPENDENCIES_FAILED) return reason;
  if (lifecyclePhase === 'terminal') return 'ended';
  return lifecyclePhase === 'suspended' ? 'suspended' : 'running';
}

/** Whether it is a member of a flow that was replayed and has not ended since. */
const runsAgain = ({ flowId, replayCount, stateVector }: ExecutionInfo): boolean =>
  flowId !== undefined && replayCount > 0 && stateVector.lifecyclePhase !== 'terminal';

/** The operations on a run by its id, shared by all kinds of runs. */
export class Operating implements RunOperating {
  constructor(
    private readonly store: OperatingSurroundings,
    private readonly runId: string,
  ) {}

  async hold(options: OperatorOptions = {}): Promise<void> {
    knownOnly<OperatorOptions>('hold', options, OPTIONS);
    const asked = askedBy('hold', options);
    await this.ask((backend, executionId) => backend.holdExecution({ executionId, ...asked }));
  }

  async release(options: OperatorOptions = {}): Promise<void> {
    knownOnly<OperatorOptions>('release', options, OPTIONS);
    const asked = askedBy('release', options);
    await this.ask((backend, executionId) => backend.releaseHold({ executionId, ...asked }));
  }

  async setPriority(priority: number, options: Pick<OperatorOptions, 'requestedBy'> = {}): Promise<void> {
    const { minPriority: least, maxPriority: most } = LIMITS;
    if (!Number.isInteger(priority) || priority < least || priority > most)
      throw refuse('setPriority', 'the priority', `a whole number from ${least} to ${most}`, priority);
    knownOnly<typeof options>('setPriority', options, REQUESTER);
    const { requestedBy } = askedBy('setPriority', options);
    await this.ask((backend, executionId) =>
      backend.changePriority({ executionId, newPriority: priority, requestedBy }),
    );
  }

  async replay(options: RunReplayOptions = {}): Promise<number> {
    knownOnly<RunReplayOptions>('replay', options, REPLAY_OPTIONS);
    const asked = askedBy('replay', options);
    const steps = stepsOf('replay', options);
    const info = await this.ask((backend, executionId) => backend.readExecutionInfo({ executionId }));
    if (info === undefined) throw new RunNotFoundError(this.runId);
    // A call that is made again after a lost answer replays once.
    const expectedReplayCount = info.replayCount;
    const { replayCount } = runsAgain(info)
      ? info
      : await this.ask((backend, executionId) =>
          backend.replayExecution({ executionId, expectedReplayCount, steps, ...asked }),
        );
    if (info.flowId !== undefined) await this.replaySkipped(asked);
    return replayCount;
  }

  /** @throws ReplayIncompleteError */
  private async replaySkipped(asked: { reason: string; requestedBy?: string }): Promise<void> {
    const { backend, clock } = this.store;
    const left = await replaySkipped(backend, {
      ...{ executionId: this.runId, clock, ...asked },
      call: (command) => patiently(this.store, command),
    });
    const [first] = left;
    if (first === undefined) return;
    const members = [...new Set(left.map(({ executionId }) => executionId))].slice(0, MAX_NAMED);
    const canRepeat = left.some(({ error }) => isRetryable(error));
    throw new ReplayIncompleteError(this.runId, members, messageOf(first.error), canRepeat);
  }

  async setTags(tags: Tags): Promise<void> {
    checkTags('setTags', tags ?? null);
    if (Object.keys(tags).length === 0) return;
    await this.ask((backend, executionId) => backend.setExecutionTags({ executionId, tags: { ...tags } }));
  }

  /** Calls until there is an answer. Refusals because of the run's state become errors of the app. */
  protected async ask<Answer>(call: (backend: Backend, executionId: string) => Promise<Answer>): Promise<Answer> {
    try {
      return await patiently(this.store, () => call(this.store.backend, this.runId));
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (error.code === 'execution_not_found') throw new RunNotFoundError(this.runId);
      const problem = problemOf(error);
      if (problem === undefined) throw error;
      throw new RunStateError(this.runId, problem);
    }
  }
}

const REQUESTER = { requestedBy: true } as const;
const OPTIONS = { reason: true, ...REQUESTER } as const;
const REPLAY_OPTIONS = { ...OPTIONS, steps: true } as const;
