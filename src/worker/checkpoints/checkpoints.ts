/**
 * The checkpoints of one run of a handler: places that an execution passes once, even if its worker crashes. Stored
 * values are found by name; the n-th use of a name gets its n-th value. Steps and uses of `children` are checkpoints.
 */
import { stepKeyOf, type StepKind, type StepRecord } from '../../../model/step/facts.js';
import { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import { afterIo, type Clock } from '../../engine/clock.js';
import { decode, encode, VALUES_HINT, type Encoded } from '../../shared/codec.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { never } from '../../util/never.js';
import { propertyOf } from '../../util/thrown.js';
import type { Attempt } from '../attempt/attempt.js';
import { untilAnswered } from './calls.js';
import { Deliveries } from './deliveries.js';
import { refuseInside } from './inside.js';
import { checkName } from './names.js';
import { RecordOrder } from './record-order.js';
import { StoredSteps, type Stored as Recorded } from './stored.js';

export interface CheckpointsDependencies {
  readonly backend: Pick<Backend, 'recordStep' | 'readSteps'>;
  readonly clock: Clock;
  /** The place in the user's code that gave the handler of this kind; undefined if it is not known. */
  readonly definedAt?: ((kind: string) => string | undefined) | undefined;
}

/** The outcome of a checkpoint: a value, or an error as data. */
export interface Passed {
  readonly failed: boolean;
  /** A JSON value, or bytes. */
  readonly value: unknown;
}

/** A stored outcome, with its place in the order in which outcomes reach the handler. */
export interface Stored extends Passed {
  readonly order: number;
}

/** The n-th use of a name in this run of the handler. */
export interface Use {
  readonly kind: StepKind;
  readonly name: string;
  /** From 0, counted in the order of the calls, over all kinds together. */
  readonly index: number;
}

/** A use that has begun. */
export interface Checkpoint extends Use {
  /** Made of the execution id, the name and the index: the same in every attempt. ASCII. */
  readonly idempotencyKey: string;
  /** The outcome that an earlier run stored; undefined if there is none. */
  readonly passed: Stored | undefined;
}

/** A failure that the handler received. It is stored when the handler continues. */
interface Failure {
  readonly checkpoint: Checkpoint;
  readonly passed: Passed;
  readonly onStored: () => void;
}

/** The member of a stored failure that says its place in the order of outcomes. */
export const ORDER = 'order';

export class Checkpoints {
  private readonly uses = new Map<string, number>();
  private readonly open = new Set<string>();
  private readonly stored: StoredSteps;
  private readonly order = new RecordOrder(() => this.stored.count);
  readonly deliveries = new Deliveries();
  private failures: Failure[] = [];
  /** How many failures the handler has received in this run. */
  private failureCount = 0;
  private busy = 0;
  private isClosed = false;
  private idle: (() => void)[] = [];
  private storePassedEnds: () => Promise<unknown> | undefined = () => undefined;

  constructor(
    private readonly attempt: Attempt,
    private readonly deps: CheckpointsDependencies,
  ) {
    const { executionId, claimed } = attempt;
    const read = (from: number) =>
      untilAnswered(attempt, deps.clock, () => deps.backend.readSteps({ executionId, from }));
    // Records that did not come with the claim are read. The first owner of an execution has none.
    const isKnown = claimed.leaseEpoch === 1 || claimed.earlier !== undefined;
    this.stored = new StoredSteps(read, isKnown ? undefined : 0, claimed.earlier?.steps);
  }

  /**
   * Begins the next use of a name, which ends with `leave`. The use is numbered synchronously, unless its caller has
   * numbered it (`nextUse`) while the handler ran. Stored outcomes are then read once for the whole run, unless they came with the claim or
   * this is the first run of the execution.
   * @throws EngineError `step_changed` if another kind of checkpoint is stored under the name, `step_misused` inside a
   *   step or during another use of the name, `step_limit_exceeded`
   * @throws TaskAbort when the worker no longer owns the execution
   */
  async use(kind: StepKind, name: string, numbered?: number): Promise<Checkpoint> {
    checkName(kind, name);
    const what = `${kind} ${JSON.stringify(name)}`;
    refuseInside(this.attempt, what);
    if (this.open.has(name))
      throw new EngineError('step_misused', `${what} is called while the one before of this name is under way.`);
    const index = numbered ?? this.nextUse(name);
    this.open.add(name);
    try {
      return await this.begin({ kind, name, index }, what, numbered !== undefined);
    } catch (error) {
      this.open.delete(name);
      throw error;
    }
  }

  /**
   * Numbers a use of a name, from 0. Waits are numbered together with steps and children, so that a name that a handler
   * uses for both has two numbers, and one that it used for another kind before its code changed has the same one.
   */
  nextUse(name: string): number {
    const index = this.uses.get(name) ?? 0;
    this.uses.set(name, index + 1);
    return index;
  }

  private async begin(use: Use, what: string, isAdmitted: boolean): Promise<Checkpoint> {
    const { attempt } = this;
    if (attempt.isSuspended) return never();
    attempt.throwIfInterrupted();
    if (!isAdmitted) this.throwIfClosed(what);
    await this.storeFailures();
    const { kind, name, index } = use;
    const record = await this.stored.take(stepKeyOf({ stepName: name, stepIndex: index }));
    if (record !== undefined && record.stepKind !== kind) throw this.otherKind(use, record.stepKind);
    if (record === undefined && index >= LIMITS.maxSteps)
      throw new EngineError('step_limit_exceeded', `${what} is used more than ${LIMITS.maxSteps} times.`);
    const idempotencyKey = `${attempt.executionId}/${encodeURIComponent(name)}/${index}`;
    return { ...use, idempotencyKey, passed: record && { ...passedOf(record), order: orderOf(record) } };
  }

  /** @throws EngineError `execution_not_active` once the handler has settled */
  throwIfClosed(what: string): void {
    if (this.isClosed || this.attempt.isOver)
      throw new EngineError('execution_not_active', `${what}: the handler of this run has ended.`);
  }

  /**
   * Call this when the handler has settled. Resolves when the steps that it has called have ended and are stored, since
   * their effects would be missing or repeated otherwise. No further step is begun, and none is retried.
   */
  async close(): Promise<void> {
    this.isClosed = true;
    if (this.isBusy) await this.settled();
  }

  /** The value as a later run reads it. @throws InvalidDefinitionError, EngineError `step_limit_exceeded` */
  travelled(checkpoint: Use, value: unknown): unknown {
    return decode(encodedOf(checkpoint, value));
  }

  /** Ends a use of a name, so that the name can be used again. */
  leave({ name }: Checkpoint): void {
    this.open.delete(name);
  }

  /**
   * The number of checkpoints recorded so far, by all runs. Known once a checkpoint was looked for and is not stored.
   */
  get count(): number {
    return this.order.count;
  }

  /**
   * Sets what stores the ends of waits whose time has passed. No checkpoint is recorded before them: a run behind a
   * crash would find the checkpoint, and wait again for a time that had passed when it was stored.
   */
  behindPassedEnds(storePassedEnds: () => Promise<unknown> | undefined): void {
    this.storePassedEnds = storePassedEnds;
  }

  /**
   * Stores the outcome of a checkpoint under the fence. If one is stored already, it stays. @returns the stored outcome
   * @throws EngineError `invalid_input` for a value that is not JSON, `step_limit_exceeded`; TaskAbort
   */
  record(checkpoint: Use, passed: Passed): Promise<Stored> {
    return this.during(async () => {
      // A run behind a crash would find the checkpoint, and not write them again.
      const { frames } = this.attempt;
      if (frames !== undefined) await frames.sent();
      await this.storePassedEnds();
      return this.store(checkpoint, passed);
    });
  }

  /** Stores when a wait ended by itself, like `record`. */
  recordEnd(wait: Use, until: number): Promise<Stored> {
    return this.store(wait, { failed: false, value: until });
  }

  private store(checkpoint: Use, passed: Passed): Promise<Stored> {
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
      const { kind: how, place: order } = await this.order.inTurn(() =>
        untilAnswered(attempt, deps.clock, () => deps.backend.recordStep(args)),
      );
      // The handler gets the same value as later runs: for example a string in place of a Date.
      if (how === 'recorded') return { failed: passed.failed, value: decode({ bytes, encoding }), order };
      return { ...(await this.readStored(checkpoint)), order };
    });
  }

  /**
   * The place in the order of outcomes of a failure that the handler receives now: behind the checkpoints recorded
   * before, and behind earlier failures of this run.
   */
  orderOfFailure(): number {
    const earlier = this.failureCount++;
    return this.count - 1 / (earlier + 2);
  }

  /** Keeps a failure that the handler receives, to be stored if the handler continues to another checkpoint. */
  fail(failure: Failure): void {
    this.failures.push(failure);
  }

  /**
   * The record of an earlier run for a wait; undefined if there is none.
   * @throws EngineError `step_changed` if it stored another kind of checkpoint under the name
   */
  async passed(kind: StepKind, name: string, index: number): Promise<Passed | undefined> {
    const record = await this.stored.find(stepKeyOf({ stepName: name, stepIndex: index }));
    if (record !== undefined && record.stepKind !== kind) throw this.otherKind({ kind, name, index }, record.stepKind);
    return record && passedOf(record);
  }

  /** Whether the handler received a failure that is not stored yet. */
  get hasFailures(): boolean {
    return this.failures.length > 0;
  }

  /** Runs work that a suspension must not interrupt. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.busy += 1;
    try {
      return await work();
    } finally {
      this.busy -= 1;
      if (this.busy === 0) for (const resolve of this.idle.splice(0)) resolve();
    }
  }

  /** Whether a step runs, or a record is being stored. */
  get isBusy(): boolean {
    return this.busy > 0;
  }

  /** Resolves when no step runs and no record is being stored, and the code that awaited them has run. */
  async settled(): Promise<void> {
    while (this.isBusy) {
      await new Promise<void>((resolve) => this.idle.push(resolve));
      await new Promise<void>((resolve) => afterIo(this.deps.clock, resolve));
    }
  }

  /** Call this when the handler continues: stores the failures that it received. */
  async storeFailures(): Promise<void> {
    if (this.failures.length === 0) return;
    await Promise.all(
      this.failures.splice(0).map(async ({ checkpoint, passed, onStored }) => {
        await this.record(checkpoint, passed);
        onStored();
      }),
    );
  }

  /** The refusal of a use that differs from that of an earlier run: EngineError `step_changed`. */
  changed({ kind, name, index }: Use, difference: string, detail: Readonly<Record<string, string>> = {}): EngineError {
    const { attempt, deps } = this;
    const place = deps.definedAt?.(attempt.claimed.executionKind);
    const use = `${kind} ${JSON.stringify(name)} (use ${index + 1} of the name)`;
    return new EngineError(
      'step_changed',
      `${use} ${difference}.${place === undefined ? '' : ` The handler is defined at ${place}.`}`,
      { detail: { stepName: name, stepIndex: String(index), ...detail } },
    );
  }

  private otherKind(use: Use, recorded: StepKind): EngineError {
    const asked = use.kind;
    const difference = `is stored as a ${recorded} of an earlier run of this execution, and the handler asks for a ${asked} now`;
    return this.changed(use, difference, { recorded, asked });
  }

  /** The outcome that is stored already, by a run that this one has not read. */
  private async readStored({ name, index }: Use): Promise<Passed> {
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

/** A failure reaches the handler before it is stored, so its data say its place in the order. */
function orderOf({ place, stepFailed, value, valueEncoding }: Recorded): number {
  const order = stepFailed ? propertyOf(decode({ bytes: value, encoding: valueEncoding }), ORDER) : undefined;
  return typeof order === 'number' ? order : place;
}

const passedOf = ({ stepFailed, value, valueEncoding }: StepRecord): Passed => ({
  failed: stepFailed,
  value: decode({ bytes: value, encoding: valueEncoding }),
});

/** @throws InvalidDefinitionError for a value that is not JSON; EngineError `step_limit_exceeded` for one that is too large */
const encodedOf = ({ kind, name }: Use, value: unknown): Encoded =>
  encode(value, (problem, isTooLarge) => {
    const message = `${kind} ${JSON.stringify(name)}: ${problem}`;
    return isTooLarge
      ? new EngineError('step_limit_exceeded', message)
      : new InvalidDefinitionError(message, VALUES_HINT);
  });

/** The checkpoints of an attempt, created on first use. */
export function checkpointsOf(attempt: Attempt, deps: CheckpointsDependencies): Checkpoints {
  attempt.checkpoints ??= new Checkpoints(attempt, deps);
  return attempt.checkpoints;
}
