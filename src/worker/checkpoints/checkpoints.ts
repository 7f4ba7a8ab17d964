/**
 * The checkpoints of one run of a handler: the places that it passes once, whatever happens to its worker. Names find
 * what is stored; the n-th use of a name finds its n-th value. Steps, and the outcomes of waits, are checkpoints.
 */
import { stepKeyOf, type StepKind, type StepRecord } from '../../../model/step/facts.js';
import { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend.js';
import { afterIo, type Clock } from '../../engine/clock.js';
import { decode, encodeWithin, type Encoded } from '../../shared/codec.js';
import type { Attempt } from '../attempt.js';
import { untilAnswered } from './calls.js';
import { refuseInside } from './inside.js';
import { checkName } from './names.js';
import { StoredSteps } from './stored.js';

export interface CheckpointsDependencies {
  readonly backend: Pick<Backend, 'recordStep' | 'readSteps'>;
  readonly clock: Clock;
}

/** How a checkpoint was passed: with a value, or with an error as data. */
export interface Passed {
  readonly failed: boolean;
  /** A JSON value, or bytes. */
  readonly value: unknown;
}

/** The n-th use of a name in this run of the handler. */
export interface Checkpoint {
  readonly kind: StepKind;
  readonly name: string;
  /** From 0, counted in the order of the calls, over all kinds together. */
  readonly index: number;
  /** Of the execution, the name and the number of its use: the same in every attempt. ASCII. */
  readonly idempotencyKey: string;
  /** What an earlier run stored; nothing when it was not passed yet. */
  readonly passed: Passed | undefined;
}

/** A failure that the handler was told of. It is stored when the handler goes on. */
interface Failure {
  readonly checkpoint: Checkpoint;
  readonly passed: Passed;
  readonly onStored: () => void;
}

const NEVER = new Promise<never>(() => undefined);

export class Checkpoints {
  private readonly uses = new Map<string, number>();
  private readonly open = new Set<string>();
  private readonly stored: StoredSteps;
  private failures: Failure[] = [];
  private busy = 0;
  private isClosed = false;
  private idle: (() => void)[] = [];

  constructor(
    private readonly attempt: Attempt,
    private readonly deps: CheckpointsDependencies,
  ) {
    const { executionId, claimed } = attempt;
    const read = (from: number) =>
      untilAnswered(attempt, deps.clock, () => deps.backend.readSteps({ executionId, from }));
    // What the claim did not bring is read. The first owner of an execution finds nothing.
    const isKnown = claimed.leaseEpoch === 1 || claimed.earlier !== undefined;
    this.stored = new StoredSteps(read, isKnown ? undefined : 0, claimed.earlier?.steps);
  }

  /**
   * Takes the next use of a name. It is numbered in the call; then what is stored is awaited: one read for the whole run
   * where the claim did not bring it, and none in the first run of an execution. Ends with `leave`.
   * @throws EngineError `step_changed` when it is stored as something else, `step_misused` inside a step or beside another
   *   use of the name, `step_limit_exceeded`
   * @throws TaskAbort when the work is not this worker's any more
   */
  async use(kind: StepKind, name: string): Promise<Checkpoint> {
    checkName(kind, name);
    const what = `${kind} ${JSON.stringify(name)}`;
    refuseInside(this.attempt, what);
    if (this.open.has(name))
      throw new EngineError('step_misused', `${what} is called while the one before of this name is under way.`);
    const index = this.uses.get(name) ?? 0;
    this.uses.set(name, index + 1);
    this.open.add(name);
    try {
      return await this.begin({ kind, name, index }, what);
    } catch (error) {
      this.open.delete(name);
      throw error;
    }
  }

  private async begin(use: Pick<Checkpoint, 'kind' | 'name' | 'index'>, what: string): Promise<Checkpoint> {
    const { attempt } = this;
    if (attempt.isSuspended) return NEVER;
    attempt.throwIfAborted();
    this.throwIfClosed(what);
    await this.goOn();
    const { kind, name, index } = use;
    const record = await this.stored.take(stepKeyOf({ stepName: name, stepIndex: index }));
    if (record !== undefined && record.stepKind !== kind) throw changed(use, what, record.stepKind);
    if (record === undefined && index >= LIMITS.maxSteps)
      throw new EngineError('step_limit_exceeded', `${what} is used more than ${LIMITS.maxSteps} times.`);
    const idempotencyKey = `${attempt.executionId}/${encodeURIComponent(name)}/${index}`;
    return { ...use, idempotencyKey, passed: record && passedOf(record) };
  }

  /** @throws EngineError `execution_not_active` once the handler has settled */
  throwIfClosed(what: string): void {
    if (this.isClosed || this.attempt.isOver)
      throw new EngineError('execution_not_active', `${what}: the handler of this run has ended.`);
  }

  /**
   * The handler has settled. Resolves when what it left under way has come to its end: a step that runs is stored, for what
   * it did would be done twice; none begins, and none is tried again.
   */
  async close(): Promise<void> {
    this.isClosed = true;
    if (this.isBusy) await this.settled();
  }

  /** What arrives of a value that is stored. @throws EngineError `invalid_input`, `step_limit_exceeded` */
  travelled(checkpoint: Checkpoint, value: unknown): unknown {
    return decode(encodedOf(checkpoint, value));
  }

  /** The name of a checkpoint may be used again. */
  leave({ name }: Checkpoint): void {
    this.open.delete(name);
  }

  /**
   * Stores how a checkpoint was passed, under the fence, and gives what stands from now on: of two records the first.
   * @throws EngineError `invalid_input` for a value that is no JSON, `step_limit_exceeded`; TaskAbort
   */
  record(checkpoint: Checkpoint, passed: Passed): Promise<Passed> {
    return this.during(async () => {
      const { attempt, deps } = this;
      const { kind, name, index } = checkpoint;
      const { bytes, encoding } = encodedOf(checkpoint, passed.value);
      const {
        executionId,
        fence: { leaseId, leaseEpoch, attemptId },
      } = attempt;
      const args = {
        executionId,
        fence: { leaseId, leaseEpoch, attemptId },
        stepName: name,
        stepIndex: index,
        stepKind: kind,
        failed: passed.failed,
        value: bytes,
        encoding,
      };
      attempt.throwIfLost();
      const outcome = await untilAnswered(attempt, deps.clock, () => deps.backend.recordStep(args));
      // What the handler gets now is what it gets when it is run again: a text in the place of a date.
      if (outcome.kind === 'recorded') return { failed: passed.failed, value: decode({ bytes, encoding }) };
      return this.standing(checkpoint);
    });
  }

  /** Notes a failure that the handler is told of: it is stored if the handler goes on to another checkpoint. */
  fail(failure: Failure): void {
    this.failures.push(failure);
  }

  /**
   * Refuses the use of a name for something that is not stored as a checkpoint: an earlier run passed a step there, which
   * this one has not asked for. @throws EngineError `step_changed`
   */
  async refuseOther(kind: StepKind, name: string, index: number): Promise<void> {
    const recorded = await this.stored.kindOf(stepKeyOf({ stepName: name, stepIndex: index }));
    if (recorded !== undefined && recorded !== kind)
      throw changed({ kind, name, index }, `${kind} ${JSON.stringify(name)}`, recorded);
  }

  /** Whether the handler was told of a failure that is not stored yet. */
  get hasFailures(): boolean {
    return this.failures.length > 0;
  }

  /** Runs what must not be cut off by a suspension. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.busy += 1;
    try {
      return await work();
    } finally {
      this.busy -= 1;
      if (this.busy === 0) for (const tell of this.idle.splice(0)) tell();
    }
  }

  /** Whether a step runs, or a record is on its way. */
  get isBusy(): boolean {
    return this.busy > 0;
  }

  /** Resolves when no step runs and no record is on its way, and what followed has had its turn. */
  async settled(): Promise<void> {
    while (this.isBusy) {
      await new Promise<void>((resolve) => this.idle.push(resolve));
      await new Promise<void>((resolve) => afterIo(this.deps.clock, resolve));
    }
  }

  /** The handler goes on: what it has behind it is stored. */
  async goOn(): Promise<void> {
    if (this.failures.length === 0) return;
    await Promise.all(
      this.failures.splice(0).map(async ({ checkpoint, passed, onStored }) => {
        await this.record(checkpoint, passed);
        onStored();
      }),
    );
  }

  /** What was recorded before, by a run that this one did not know of. */
  private async standing({ name, index }: Checkpoint): Promise<Passed> {
    const { attempt, deps } = this;
    const { executionId } = attempt;
    const key = stepKeyOf({ stepName: name, stepIndex: index });
    const read = (from: number) =>
      untilAnswered(attempt, deps.clock, () => deps.backend.readSteps({ executionId, from }));
    const record = await new StoredSteps(read, 0).take(key);
    if (record === undefined) throw new EngineError('corruption', `The value of the step "${name}" is missing.`);
    return passedOf(record);
  }
}

const passedOf = ({ stepFailed, value, valueEncoding }: StepRecord): Passed => ({
  failed: stepFailed,
  value: decode({ bytes: value, encoding: valueEncoding }),
});

function changed({ kind, name, index }: Pick<Checkpoint, 'kind' | 'name' | 'index'>, what: string, recorded: StepKind) {
  return new EngineError(
    'step_changed',
    `${what} (use ${index + 1} of the name) is stored as a ${recorded} of an earlier run of this execution, and the handler asks for a ${kind} now.`,
    { detail: { stepName: name, stepIndex: String(index), recorded, asked: kind } },
  );
}

/** @throws EngineError `invalid_input` for a value that is no JSON, `step_limit_exceeded` for one that is too large */
function encodedOf({ kind, name }: Checkpoint, value: unknown): Encoded {
  const what = `${kind} ${JSON.stringify(name)}`;
  return encodeWithin(value, what, (bytes) => {
    throw new EngineError(
      'step_limit_exceeded',
      `The value of ${what} has ${bytes} bytes, more than the limit of ${LIMITS.maxPayloadBytes}.`,
    );
  });
}

/** The checkpoints of an attempt, made when they are asked for first. */
export function checkpointsOf(attempt: Attempt, deps: CheckpointsDependencies): Checkpoints {
  attempt.checkpoints ??= new Checkpoints(attempt, deps);
  return attempt.checkpoints;
}
