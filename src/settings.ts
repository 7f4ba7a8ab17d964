/** What a deployment sets, whichever backend it is on. */
import { z } from 'zod';
import { durationMs, integer } from '../model/core/fields.js';
import { EngineError } from '../model/errors.js';
import { DEFAULTS, LIMITS } from '../model/limits.js';

const settings = z.object({
  retentionMs: durationMs.default(DEFAULTS.retentionMs),
  logMaxEntries: integer(1, LIMITS.maxInteger).default(DEFAULTS.logMaxEntries),
  callTimeoutMs: integer(1, LIMITS.maxLeaseTtlMs).default(DEFAULTS.callTimeoutMs),
});

export interface BackendSettings {
  /** Life of a terminal execution before it is purged, ms. */
  readonly retentionMs: number;
  /** Log entries kept per partition. */
  readonly logMaxEntries: number;
  /** Longest time a call may take, ms. */
  readonly callTimeoutMs: number;
}

/** The settings with their defaults. @throws EngineError `invalid_input` that names the setting */
export function parseSettings(options: Partial<BackendSettings>): BackendSettings {
  const parsed = settings.safeParse(options);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = String(issue?.path[0] ?? 'options');
  throw new EngineError('invalid_input', `${field}: ${issue?.message ?? 'invalid'}.`, { detail: { field } });
}
