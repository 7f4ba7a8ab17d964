/**
 * Settings of a deployment, on any backend. Settings that affect shared state are the same for all processes (ruling
 * 17); the call timeout is set per process.
 */
import { z } from 'zod';
import { durationMs, integer, tagKey } from '../../model/core/fields.js';
import { issueWords } from '../../model/core/issue-words.js';
import { EngineError } from '../../model/errors.js';
import { NOTED_FAMILIES, type Family } from '../../model/families.js';
import { DEFAULTS, LIMITS } from '../../model/limits.js';
import { isRecord } from '../shared/shown.js';
import { boundText } from '../util/text.js';
import { propertyOf } from '../util/thrown.js';
import type { Backend } from './backend.js';

const shared = {
  retentionMs: durationMs.default(DEFAULTS.retentionMs),
  logMaxEntries: integer(1, LIMITS.maxInteger).default(DEFAULTS.logMaxEntries),
  indexedTags: z
    .array(tagKey)
    .max(LIMITS.maxIndexedTags, { error: `must name at most ${LIMITS.maxIndexedTags} tags` })
    .transform((keys) => [...new Set(keys)].sort())
    .default([]),
};
const sharedSettings = z.object(shared);
const settings = z.object({
  ...shared,
  callTimeoutMs: integer(1, LIMITS.maxLeaseTtlMs).default(DEFAULTS.callTimeoutMs),
});

/** Settings that all processes of a deployment share. */
export interface SharedSettings {
  /** How long an ended execution is kept, ms. Default 24 h. */
  readonly retentionMs: number;
  /** Log entries kept per partition, approximately. Default 100 000. */
  readonly logMaxEntries: number;
  /** Tag keys by which executions are indexed from then on, ascending; at most 16. Default none. */
  readonly indexedTags: readonly string[];
}

/** The settings of a deployment, with their version. */
export interface DeploymentSettings extends SharedSettings {
  /** 1 at first boot; every change raises it. */
  readonly version: number;
  /** Families of partitions in use besides executions and flows; a family is never removed. */
  readonly families: readonly Family[];
}

export interface BackendSettings extends SharedSettings {
  /** Longest time a call may take, ms. */
  readonly callTimeoutMs: number;
}

/** Settings as callers give them. */
export type GivenSettings = { readonly [Name in keyof SharedSettings]?: SharedSettings[Name] | undefined };

export const SHARED_SETTINGS = [
  'retentionMs',
  'logMaxEntries',
  'indexedTags',
] as const satisfies readonly (keyof SharedSettings)[];

/** A text to compare settings by: equal values have equal texts. */
export const settingText = (value: SharedSettings[keyof SharedSettings] | undefined): string => String(value ?? '');

function checked<Value>(parsed: z.ZodSafeParseResult<Value>): Value {
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = String(issue?.path[0] ?? 'options');
  throw new EngineError('invalid_input', `${field}: ${issueWords(issue)}.`, { detail: { field } });
}

/** Most of an unknown name that a message repeats. */
const MAX_NAME_BYTES = 60;

/**
 * Refuses unknown options of a backend, because a misspelt one would be ignored silently.
 * @param of the function that takes the options, for the message
 * @throws EngineError `invalid_input`
 */
export function checkOptionNames(of: string, options: object, names: readonly string[]): void {
  needObject(of, 'options', options);
  for (const name of Object.keys(options))
    if (!names.includes(name))
      throw refusedOption(boundText(name, MAX_NAME_BYTES), `is no option of ${of}; there are ${names.join(', ')}`);
}

/** A refusal of an option, or of an argument. */
export const refusedOption = (field: string, what: string): EngineError =>
  new EngineError('invalid_input', `${field}: ${what}.`, { detail: { field } });

/**
 * @param used a function of backends that the callee uses
 * @throws EngineError `invalid_input` for an argument that is no backend
 */
export function needBackend(of: string, backend: unknown, used: keyof Backend = 'execute'): void {
  if (typeof propertyOf(backend, used) !== 'function') throw refusedOption('backend', `of ${of} must be a backend`);
}

/** @throws EngineError `invalid_input` for an argument that is no object */
export function needObject(of: string, field: string, value: unknown): void {
  if (!isRecord(value)) throw refusedOption(field, `of ${of} must be an object`);
}

/** @throws EngineError `invalid_input` for an argument that is no text */
export function needText(of: string, field: string, value: unknown): void {
  if (typeof value !== 'string') throw refusedOption(field, `of ${of} must be a string`);
}

/** @throws EngineError `invalid_input` for anything but a function; `undefined` is left to its default */
export function checkFunction(of: string, field: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw refusedOption(field, `of ${of} must be a function`);
}

/** @throws EngineError `invalid_input` for anything but a number within the bounds; `undefined` is left to its default */
export function checkNumber(
  of: string,
  field: string,
  value: unknown,
  { min, max, isWhole = false }: { readonly min: number; readonly max: number; readonly isWhole?: boolean },
): void {
  if (value === undefined) return;
  const isNumber = isWhole ? Number.isInteger(value) : typeof value === 'number';
  if (!isNumber || !((value as number) >= min && (value as number) <= max))
    throw refusedOption(field, `of ${of} must be a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}`);
}

/** @throws EngineError `invalid_input` for anything but a clock; `undefined` is left to its default */
export function checkClock(of: string, clock: unknown): void {
  if (clock === undefined) return;
  if (['now', 'after', 'random'].some((name) => typeof propertyOf(clock, name) !== 'function'))
    throw refusedOption('clock', `of ${of} must have the functions now, after and random`);
}

/**
 * The clock that a caller gave a backend, or the system's. Times are stored as whole milliseconds, so other numbers never
 * leave it. @throws EngineError `invalid_input`, also when it is asked and answers no time
 */
export function parseNow(now: unknown): () => number {
  if (now === undefined) return Date.now;
  if (typeof now !== 'function') throw refusedOption('now', 'must be a function');
  return () => {
    const at = Math.floor(now() as number);
    if (Number.isSafeInteger(at) && at >= 0) return at;
    throw refusedOption('now', 'must return milliseconds since the epoch');
  };
}

/** The settings with their defaults. @throws EngineError `invalid_input` that names the setting */
export function parseSettings(
  options: GivenSettings & { readonly callTimeoutMs?: number | undefined },
): BackendSettings {
  return checked(settings.safeParse(options));
}

/** The shared settings of a record, or of options, with their defaults. @throws EngineError `invalid_input` */
export function parseSharedSettings(given: unknown): SharedSettings {
  return checked(sharedSettings.safeParse(given));
}

/** The families in use in a record, without those that this process does not know. */
export const familiesIn = (named: unknown): readonly Family[] =>
  Array.isArray(named) ? NOTED_FAMILIES.filter((family) => named.includes(family)) : [];

/** Settings after a change. @throws EngineError `invalid_input` for an unknown name or an invalid value */
export function changedSettings(now: SharedSettings, changes: GivenSettings): SharedSettings {
  if (typeof changes !== 'object' || changes === null || Array.isArray(changes))
    throw refusedOption('changes', 'must be an object of settings');
  for (const name of Object.keys(changes))
    if (!(SHARED_SETTINGS as readonly string[]).includes(name))
      throw refusedOption(boundText(name, MAX_NAME_BYTES), `is no setting; there are ${SHARED_SETTINGS.join(', ')}`);
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
  return parseSharedSettings({ ...now, ...given });
}

export const sameSettings = (a: SharedSettings, b: SharedSettings): boolean =>
  SHARED_SETTINGS.every((name) => settingText(a[name]) === settingText(b[name]));
