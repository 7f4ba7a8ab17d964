/** Signals and approvals sent to a run. */
import { createHash } from 'node:crypto';
import { looseLabel, signalText } from '../../../model/core/fields.js';
import { EngineError } from '../../../model/errors.js';
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import { partitionOfExecution } from '../../../model/ids.js';
import { LIMITS } from '../../../model/limits.js';
import type { SignalEffect } from '../../../model/suspension/facts.js';
import type { Backend } from '../../backend/backend.js';
import { localOffers } from '../../engine/local-offers.js';
import { decode, encode, type Encoded } from '../../shared/codec.js';
import { checkField, needField, refuse, shown } from '../../shared/checks.js';
import { InvalidInputError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { validate, type InputOf } from '../../shared/schema.js';
import { checkDeclared, checkWaitName } from '../../worker/waits/names.js';
import type { NoSignals, SignalSchemas } from '../../worker/waits/wait-for.js';
import { Operating, type OperatingSurroundings } from '../operating/operating.js';
import { localOfferOf } from '../tasks/offer.js';
import type { TaskDefinition } from '../tasks/task.js';

export interface SignalOptions {
  /** The sender, such as a person or a service; at most 256 bytes. `distinct: 'source'` counts senders by it. */
  readonly from?: string | undefined;
  /** A signal sent again with the same key counts once, for as long as the run is kept. */
  readonly idempotencyKey?: string | undefined;
}

export interface DecisionOptions {
  /** The person that decides; each person counts once. */
  readonly by: string;
  /** A comment on the decision. */
  readonly note?: string | undefined;
  /** The same decision of the same person, sent again with the same key, counts once. */
  readonly idempotencyKey?: string | undefined;
}

/** The outcome of a signal. */
export interface SignalReceipt {
  readonly id: string;
  /**
   * `taken`: a wait took it, and the run continues once the wait is satisfied. `kept`: nothing waits for it yet; the
   * next wait for its name gets it. `duplicate`: it was sent before.
   */
  readonly effect: 'taken' | 'kept' | 'duplicate';
}

/** The names of the signals that a task declares; any name where it declares none. */
type SignalName<Signals extends SignalSchemas> = [keyof Signals] extends [never] ? string : keyof Signals & string;

/** The arguments after the name of a signal. The payload can be left out if its schema accepts `undefined`. */
type SignalArguments<Signals extends SignalSchemas, Name> = Name extends keyof Signals
  ? undefined extends InputOf<Signals[Name]>
    ? [payload?: InputOf<Signals[Name]>, options?: SignalOptions]
    : [payload: InputOf<Signals[Name]>, options?: SignalOptions]
  : [payload?: unknown, options?: SignalOptions];

/** Signals and decisions that can be sent to a run. */
export interface RunSignalling<Signals extends SignalSchemas = NoSignals> {
  /**
   * Sends a signal to the handler's wait for this name, present or future: you can send it before the handler runs. The
   * payload is JSON or bytes, at most 64 KiB.
   * @throws RunNotFoundError; RunStateError `ended`; InvalidInputError for a payload that `signals` in the task's
   *   definition rejects; InvalidDefinitionError for a name that it does not have; EngineError `payload_too_large`, `signal_limit_exceeded`
   * @example await run.signal('paid', { cents: 500 }, { from: 'bank', idempotencyKey: event.id });
   */
  signal<Name extends SignalName<Signals>>(name: Name, ...rest: SignalArguments<Signals, Name>): Promise<SignalReceipt>;
  /**
   * Approves the wait of the handler at `approval(name)`. Each person counts once.
   * @throws as `signal`
   * @example await run.approve('deploy', { by: 'ann', note: 'the tests are green' });
   */
  approve(name: string, options: DecisionOptions): Promise<SignalReceipt>;
  /** Rejects it; one rejection decides. @throws as `signal` */
  reject(name: string, options: DecisionOptions): Promise<SignalReceipt>;
}

const SIGNAL_OPTIONS = { from: true, idempotencyKey: true } as const;
const DECISION_OPTIONS = { by: true, note: true, idempotencyKey: true } as const;

/** The parts of a signal besides its payload. */
interface Address {
  readonly name: string;
  readonly from: string;
  readonly idempotencyKey: string | undefined;
  readonly signalCategory: string;
  readonly sourceType: string;
}

/** A signal as its caller gave it, from the turn of the call on: the caller may go on with the same objects. */
export interface GivenSignal extends Address {
  readonly encoded: Encoded;
  /** Checks the payload against its task; undefined when the task is not known. */
  readonly checking: Promise<void> | undefined;
}

/** @throws InvalidDefinitionError; InvalidInputError and EngineError for the payload */
export function signalOf(
  task: TaskDefinition | undefined,
  name: string,
  payload?: unknown,
  options: SignalOptions = {},
): GivenSignal {
  checkWaitName('signal', name);
  knownOnly<SignalOptions>('signal', options, SIGNAL_OPTIONS);
  const { from = '', idempotencyKey } = options;
  checkField('signal', 'from', looseLabel, from);
  checkKey('signal', idempotencyKey);
  return given(task, payload, { name, from, idempotencyKey, signalCategory: 'external', sourceType: 'external' });
}

/** @throws as `signalOf` */
export function decisionOf(
  what: 'approve' | 'reject',
  task: TaskDefinition | undefined,
  name: string,
  options: DecisionOptions,
): GivenSignal {
  checkWaitName(what, name);
  knownOnly<DecisionOptions>(what, options, DECISION_OPTIONS);
  const { by, note, idempotencyKey } = options;
  needField(what, 'by', signalText, by);
  if (note !== undefined && typeof note !== 'string') throw refuse(what, 'note', 'a string', note);
  checkKey(what, idempotencyKey);
  const approved = what === 'approve';
  const payload = note === undefined ? { approved } : { approved, note };
  // Another decision, or that of another person, is not the same signal sent again.
  const ownKey = idempotencyKey && JSON.stringify([what, by, idempotencyKey]);
  const address = { name, from: by, idempotencyKey: ownKey, signalCategory: 'approval', sourceType: 'person' };
  return given(task, payload, address);
}

function given(task: TaskDefinition | undefined, payload: unknown, address: Address): GivenSignal {
  const { name, signalCategory } = address;
  const encoded = encodePayload(name, payload, task?.name);
  const checking = task && checked(task, name, payload, signalCategory);
  // It is awaited later, when the run is known.
  checking?.catch(() => undefined);
  return { ...address, encoded, checking };
}

/**
 * The id of a signal that its sender named: the same for the same run, name, key and scope.
 *
 * @param scope who else can use the key: nobody occupies the one of a sender with other rights
 */
export function signalIdOf(runId: string, name: string, key: string, ...scope: readonly string[]): string {
  const hex = createHash('sha256')
    .update(JSON.stringify([runId, name, key, ...scope]))
    .digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The tasks of the app, for signals to a run that is known by its id alone. */
export interface SignalledTasks {
  /** Whether any task declares signals. */
  readonly declareSignals: () => boolean;
  /** The task of a run; undefined if the app does not define it. */
  readonly taskOf: (info: ExecutionInfo) => TaskDefinition | undefined;
}

export interface SignallingSurroundings extends OperatingSurroundings {
  readonly ids: () => string;
  readonly tasks: SignalledTasks;
}

/** The same on every kind of run: by its id. */
export class Signalling extends Operating implements RunSignalling {
  constructor(
    private readonly surroundings: SignallingSurroundings,
    private readonly ofRun: string,
    private readonly ofTask: TaskDefinition | undefined,
  ) {
    super(surroundings, ofRun);
  }

  async signal(name: string, payload?: unknown, options?: SignalOptions): Promise<SignalReceipt> {
    return this.send(signalOf(this.ofTask, name, payload, options));
  }

  async approve(name: string, options: DecisionOptions): Promise<SignalReceipt> {
    return this.send(decisionOf('approve', this.ofTask, name, options));
  }

  async reject(name: string, options: DecisionOptions): Promise<SignalReceipt> {
    return this.send(decisionOf('reject', this.ofTask, name, options));
  }

  /** The task of a run that is known by its id alone. Read only if it can declare the signal. */
  private async readTask(): Promise<TaskDefinition | undefined> {
    const { declareSignals, taskOf } = this.surroundings.tasks;
    if (!declareSignals()) return undefined;
    const info = await this.ask((backend, executionId) => backend.readExecutionInfo({ executionId }));
    return info && taskOf(info);
  }

  /** Sends a signal that was given before. */
  async send({ name, encoded, checking, from, idempotencyKey, ...kind }: GivenSignal): Promise<SignalReceipt> {
    const { bytes, encoding } = encoded;
    if (checking !== undefined) await checking;
    else {
      const task = this.ofTask ?? (await this.readTask());
      if (task !== undefined) await checked(task, name, decode(encoded), kind.signalCategory);
    }
    const scope = kind.signalCategory === 'approval' ? ['decision'] : [];
    const id =
      idempotencyKey === undefined ? this.surroundings.ids() : signalIdOf(this.ofRun, name, idempotencyKey, ...scope);
    const answer = await this.ask((backend, executionId) => {
      const answered = backend.signalExecution({
        executionId,
        signalId: id,
        signalName: name,
        ...kind,
        sourceIdentity: from,
        payload: bytes,
        payloadEncoding: encoding,
      });
      // Most signals are what their run waits for: an idle worker of this process goes on with it after one round trip.
      const work = this.ofTask && localOfferOf(partitionOfExecution(executionId), this.ofTask);
      if (work !== undefined) localOffers(backend).offer(work);
      return answered;
    });
    if (answer.kind !== 'duplicate') return { id, effect: effectOf(answer.effect) };
    const sent = { runId: this.ofRun, id: answer.existingSignalId, isNamed: idempotencyKey !== undefined };
    return receiptOf(sent, (page) => this.ask((backend) => backend.listSignals(page)));
  }
}

export const effectOf = (effect: SignalEffect): SignalReceipt['effect'] =>
  effect === 'kept_for_a_wait' || effect === 'buffered_for_pending_waitpoint' ? 'kept' : 'taken';

/**
 * The receipt of a signal that was there already. Without a key only this call can have sent it, by a try whose answer
 * was lost: then it says what became of it.
 */
export async function receiptOf(
  { runId: executionId, id, isNamed }: { readonly runId: string; readonly id: string; readonly isNamed: boolean },
  read: (page: Parameters<Backend['listSignals']>[0]) => ReturnType<Backend['listSignals']>,
): Promise<SignalReceipt> {
  let cursor: string | undefined;
  while (!isNamed) {
    const page = await read({ executionId, cursor, limit: LIMITS.maxPageSize });
    const found = page.signals.find(({ signalId }) => signalId === id);
    if (found !== undefined) return { id, effect: effectOf(found.effect) };
    cursor = page.nextCursor;
    if (cursor === undefined) break;
  }
  return { id, effect: 'duplicate' };
}

/** @throws InvalidDefinitionError for a name, InvalidInputError for a payload that the task does not declare */
async function checked(task: TaskDefinition, name: string, payload: unknown, category: string): Promise<void> {
  const { signals = {} } = task;
  // An approval is a wait of its own kind, which is not declared.
  if (category === 'external') checkDeclared(task.name, signals, name);
  const found = await validate(Object.hasOwn(signals, name) ? signals[name] : undefined, payload);
  if (!found.ok)
    throw new InvalidInputError(
      task.name,
      found.problem,
      'Send a payload that matches its schema in `signals` of the definition of the task.',
      { signal: name },
    );
}

/** @throws InvalidInputError for a payload that is no JSON; EngineError `payload_too_large` */
export const encodePayload = (signal: string, payload: unknown, task = ''): Encoded =>
  encode(payload, (problem, isTooLarge) =>
    isTooLarge
      ? new EngineError('payload_too_large', `Payload of signal ${shown(signal)}: ${problem}`)
      : new InvalidInputError(task, problem, 'A payload is any JSON value, or a Uint8Array, of up to 64 KiB.', {
          signal,
        }),
  );

/** @throws InvalidDefinitionError for a key that is no text, or empty: most often a value that is missing */
export function checkKey(what: string, key: unknown): void {
  if (key !== undefined && (typeof key !== 'string' || key === ''))
    throw refuse(what, 'idempotencyKey', 'a string that is not empty', key);
}
