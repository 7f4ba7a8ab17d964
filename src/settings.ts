/**
 * What a deployment sets, whichever backend it is on. What changes shared state is settled once for all processes
 * (ruling 17); how long a call may take is each process's own.
 */
import { z } from 'zod';
import { durationMs, integer, tagKey } from '../model/core/fields.js';
import { EngineError } from '../model/errors.js';
import { NOTED_FAMILIES, type Family } from '../model/families.js';
import { DEFAULTS, LIMITS } from '../model/limits.js';

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
  /** Life of a terminal execution before it is purged, ms; 24 h unless set. */
  readonly retentionMs: number;
  /** Log entries kept per partition, approximately; 100,000 unless set. */
  readonly logMaxEntries: number;
  /** Keys of tags by which executions are indexed when they get them, ascending; at most 16, none unless set. */
  readonly indexedTags: readonly string[];
}

/** The settings of a deployment, and how often they were changed. */
export interface DeploymentSettings extends SharedSettings {
  /** 1 at first boot; raised by every change. */
  readonly version: number;
  /** Families of partitions that are in use besides executions and flows; they only become more. */
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

/** The text of a setting: equal ones have equal texts. */
export const settingText = (value: SharedSettings[keyof SharedSettings] | undefined): string => String(value ?? '');

function checked<Value>(parsed: z.ZodSafeParseResult<Value>): Value {
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = String(issue?.path[0] ?? 'options');
  throw new EngineError('invalid_input', `${field}: ${issue?.message ?? 'invalid'}.`, { detail: { field } });
}

/**
 * The options of a backend are known, or refused: a misspelt one would silently be left out.
 * @param of the function that takes them, as the message names it
 * @throws EngineError `invalid_input`
 */
export function checkOptionNames(of: string, options: object, names: readonly string[]): void {
  const refuse = (field: string, what: string): EngineError =>
    new EngineError('invalid_input', `${field}: ${what}.`, { detail: { field } });
  if (typeof options !== 'object' || options === null) throw refuse('options', `of ${of} must be an object`);
  for (const name of Object.keys(options))
    if (!names.includes(name)) throw refuse(name, `is no option of ${of}; there are ${names.join(', ')}`);
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

/** The families that a record names as in use; what this process does not know is left out. */
export const familiesIn = (named: unknown): readonly Family[] =>
  Array.isArray(named) ? NOTED_FAMILIES.filter((family) => named.includes(family)) : [];

/** Settings after a change. @throws EngineError `invalid_input` for a name that is no setting, or a value that cannot be */
export function changedSettings(now: SharedSettings, changes: GivenSettings): SharedSettings {
  if (typeof changes !== 'object' || changes === null || Array.isArray(changes))
    throw new EngineError('invalid_input', 'changes: must be an object of settings.', { detail: { field: 'changes' } });
  for (const name of Object.keys(changes)) {
    if (!(SHARED_SETTINGS as readonly string[]).includes(name))
      throw new EngineError('invalid_input', `${name}: is no setting; there are ${SHARED_SETTINGS.join(', ')}.`, {
        detail: { field: name },
      });
  }
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
  return parseSharedSettings({ ...now, ...given });
}

export const sameSettings = (a: SharedSettings, b: SharedSettings): boolean =>
  SHARED_SETTINGS.every((name) => settingText(a[name]) === settingText(b[name]));
