/** A requested run. Its options are checked and its input is encoded without a backend, so mistakes throw at once. */
import { encode, VALUES_HINT, type Encoded, type Refusal } from '../../shared/codec.js';
import { InvalidDefinitionError, InvalidInputError } from '../../shared/errors.js';
import { validate } from '../../shared/schema.js';
import { TEMPLATE_LEVELS, type Template } from '../../shared/template.js';
import { metersOfRun, type RunMeters } from '../metering/meters.js';
import { engineKeyOf } from './own-ids.js';
import { strictQuotaOf } from '../metering/quota.js';
import { keptOptions } from '../tasks/policy.js';
import type { RunOptions, TaskDefinition } from '../tasks/task.js';
import { checkRunOptions } from '../tasks/task-checks.js';

export interface RequestedRun {
  readonly task: TaskDefinition;
  readonly options: RunOptions;
  readonly input: Encoded;
  readonly idempotencyKey: string | undefined;
  readonly meters: RunMeters;
}

/** @throws InvalidInputError, InvalidDefinitionError */
export async function requestedRun(task: TaskDefinition, input: unknown, given: RunOptions): Promise<RequestedRun> {
  checkRunOptions(task.name, given);
  const options = keptOptions(given);
  checkIds(task, options);
  const idempotencyKey = engineKeyOf(task.name, options);
  const validating = validate(task.input, input);
  const isLater = 'then' in validating;
  // In the turn of the call, also if the schema takes its time: the caller may change the object afterwards.
  const sent = isLater ? encodeInput(task.name, input) : undefined;
  const metered = isLater ? metersNow(task, input) : undefined;
  const validated = isLater ? await validating : validating;
  if (!validated.ok) throw new InvalidInputError(task.name, validated.problem);
  // The input is sent as given: only the worker applies the schema.
  const meters = metered === undefined ? metersOfRun(task, input) : metered();
  return { task, options, input: sent ?? encodeInput(task.name, input), idempotencyKey, meters };
}

/** The meters of a run whose input is not validated yet, with which their functions can fail: told when asked for. */
function metersNow(task: TaskDefinition, input: unknown): () => RunMeters {
  try {
    const meters = metersOfRun(task, input);
    return () => meters;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** @param flow whether the name is that of a flow */
export const encodeInput = (name: string, input: unknown, flow = false): Encoded =>
  encode(input, refusalOf(name, flow));

/** Encodes the input of a flow member, with holes for results. */
export const encodeTemplate = (name: string, template: Template): Encoded =>
  encode(template, refusalOf(name), TEMPLATE_LEVELS);

const refusalOf =
  (name: string, flow = false): Refusal =>
  (problem) =>
    new InvalidInputError(name, problem, VALUES_HINT, { flow });

/** Runs of a quota with `whenFull` are placed by the quota, runs with an id by the id: a run cannot be both. */
function checkIds({ name, quotas }: TaskDefinition, { id, idempotencyKey }: RunOptions): void {
  if (id === undefined && idempotencyKey === undefined) return;
  const whenFull = strictQuotaOf(quotas)?.whenFull;
  if (whenFull === undefined) return;
  throw new InvalidDefinitionError(
    `Run of task "${name}": its quota says whenFull: "${whenFull}", and such a run takes no id and no idempotencyKey`,
    'Leave the id out, or let the runs of the task wait.',
  );
}
