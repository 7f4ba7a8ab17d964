/** Reads the record of an execution, and the keys beside it: bytes, waits, dependencies and steps. */
import { FIELDS, SPILLED, STAGED_SEPARATOR, STEP_FIELDS, SUFFIXES } from '../../../../lua/layout.js';
import { isShortId } from '../../../../model/short-id.js';
import { stepKeyOf, type StepRecord } from '../../../../model/step/facts.js';
import { decodeRecord } from '../../../valkey/records/record.js';
import { stepOf, withValue } from '../../../valkey/reads/steps.js';
import { SHORT_LENGTH, storedRecordAt, strayWithoutOwner } from './records.js';
import { difference, hashOf } from './scan.js';
import type { StoredPartition } from './stored.js';

/** The suffix of the keys of bytes that are staged beside a call. */
const STAGED = new RegExp(
  `^(?:${SUFFIXES.input}|${SUFFIXES.result}.{${SHORT_LENGTH}}|${SUFFIXES.value})${STAGED_SEPARATOR}.`,
);

export async function readExecutionKey(stored: StoredPartition, key: string, name: string): Promise<void> {
  const member = name.slice(0, SHORT_LENGTH);
  const suffix = name.slice(SHORT_LENGTH);
  if (!isShortId(member)) stored.strays.push(key);
  else if (suffix === '') await readExecution(stored, key, stored.idOf(member));
  else await readBesideExecution(stored, key, member, suffix);
}

async function readExecution(stored: StoredPartition, key: string, executionId: string): Promise<void> {
  const { client } = stored;
  const execution = decodeRecord(executionId, await storedRecordAt(client, key));
  if (execution !== undefined) stored.executions.push(execution);
  const [input, result] = await client.hmgetBuffer(key, FIELDS.input, FIELDS.result);
  if (input?.length && input.toString() !== SPILLED) stored.inputs.push([executionId, input]);
  if (result && result.toString() !== SPILLED) stored.results.push([executionId, result]);
}

async function readBesideExecution(
  stored: StoredPartition,
  key: string,
  member: string,
  suffix: string,
): Promise<void> {
  const { client } = stored;
  const executionId = stored.idOf(member);
  // Bytes that no call took over expire by themselves; everything else of an execution must be accounted for.
  if (STAGED.test(suffix) === (await client.pttl(key)) < 0) stored.strays.push(key);
  else if (suffix === SUFFIXES.input) stored.inputs.push([executionId, (await client.getBuffer(key)) as Buffer]);
  else if (suffix === SUFFIXES.dependencies) stored.dependencies.set(executionId, await hashOf(client, key));
  else if (suffix === SUFFIXES.leading) stored.flowIndexes.lead(member, await client.zrange(key, 0, -1));
  else if (suffix === SUFFIXES.only) stored.flowIndexes.lead(member, [(await client.get(key)) ?? '']);
  else if (suffix === SUFFIXES.waits) stored.waits.set(executionId, await hashOf(client, key));
  else if (suffix === SUFFIXES.payloads)
    stored.payloads.set(executionId, new Map(Object.entries(await client.hgetallBuffer(key))));
  else if (suffix === SUFFIXES.steps) await readSteps(stored, executionId, key);
  else if (suffix === SUFFIXES.details) await strayWithoutOwner(stored, key, suffix);
  else if (STAGED.test(suffix)) return;
  else if (suffix.startsWith(SUFFIXES.value)) stored.valueKeys.push(key);
  else if (suffix.startsWith(SUFFIXES.result))
    stored.results.push([executionId, (await client.getBuffer(key)) as Buffer]);
  else stored.strays.push(key);
}

/** Each step has an entry at its place and one under its name; the value of a long one has a key of its own. */
async function readSteps(stored: StoredPartition, executionId: string, key: string): Promise<void> {
  const { client } = stored;
  await strayWithoutOwner(stored, key, SUFFIXES.steps);
  const fields = await client.hgetallBuffer(key);
  const places = Object.keys(fields).filter((name) => /^\d+$/.test(name));
  const longNames: string[] = [];
  const filled = async (step: StepRecord, value: Buffer | undefined): Promise<StepRecord> => {
    const name = /^\d+\t(.*)$/.exec(value?.toString('latin1') ?? '')?.[1];
    if (name === undefined) return withValue(step, value);
    longNames.push(name);
    const valueKey = key.slice(0, -SUFFIXES.steps.length) + SUFFIXES.value + name;
    stored.namedValueKeys.push(valueKey);
    return withValue(step, (await client.getBuffer(valueKey)) ?? undefined, true);
  };
  const records: StepRecord[] = [];
  for (const place of places.sort((a, b) => Number(a) - Number(b))) {
    const step = stepOf(fields[place]?.toString());
    records.push(await filled(step, fields[STEP_FIELDS.key + stepKeyOf(step)]));
  }
  stored.steps.set(executionId, { records });
  const [stepCount, stepBytes] = (fields[STEP_FIELDS.totals]?.toString() ?? '').split('\t').map(Number);
  stored.stepTotals.set(executionId, { stepCount: stepCount ?? 0, stepBytes: stepBytes ?? 0 });
  if ((fields[STEP_FIELDS.long]?.toString() ?? '') !== longNames.join(' ')) stored.strays.push(`long values of ${key}`);
  stored.strays.push(...strayFields(fields, records, longNames.length > 0));
}

/** Fields that the steps do not account for, and steps whose entry under their name is that of another place. */
function strayFields(
  fields: Readonly<Record<string, Buffer>>,
  records: readonly StepRecord[],
  hasLong: boolean,
): string[] {
  const names = records.flatMap((step, place) => [`${place}`, STEP_FIELDS.key + stepKeyOf(step)]);
  names.push(STEP_FIELDS.totals);
  if (hasLong) names.push(STEP_FIELDS.long);
  const odd = records.filter((step, place) => {
    const value = fields[STEP_FIELDS.key + stepKeyOf(step)]?.toString();
    return !(value?.startsWith(`${place}\n`) || value?.startsWith(`${place}\t`));
  });
  return [...difference(Object.keys(fields), names), ...odd.map(stepKeyOf)];
}
