/**
 * Capabilities as values: the tokens that work requires and workers offer. Matching is exact, and work without
 * requirements fits every worker. Source: spec 05 section 10.1.
 */
import type { z } from 'zod';
import { EngineError } from '../errors.js';
import { fnv1a64 } from '../ids.js';
import { capabilities } from '../core/fields.js';

/**
 * A set of tokens in its stored form: no duplicates, ascending by bytes.
 * @throws EngineError `invalid_capabilities` that names the fault; `detail.reason` is that of `capabilityFault`
 */
export function parseCapabilities(tokens: readonly string[]): readonly string[] {
  const parsed = capabilities.safeParse(tokens);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new EngineError('invalid_capabilities', `capabilities: ${issue?.message ?? 'invalid'}.`, {
    detail: issue === undefined ? {} : { reason: capabilityFault(issue, issue.path.length > 0) },
  });
}

/**
 * The fault of a list of capabilities: `not_array`, `non_string_token`, `empty_token`, `comma_in_token`,
 * `control_or_whitespace`, `too_many_tokens` or `too_many_bytes` (spec 01 section 9).
 */
export function capabilityFault(issue: z.core.$ZodIssue, isOfToken: boolean): string {
  if (issue.code === 'custom') return String(issue.params?.['reason']);
  return isOfToken ? 'non_string_token' : 'not_array';
}

/** The required tokens that are not offered, ascending by bytes; empty when a worker can do the work. */
export function missingCapabilities(required: readonly string[], offered: readonly string[]): readonly string[] {
  const has = new Set(offered);
  return parseCapabilities(required).filter((token) => !has.has(token));
}

/** Whether a worker with the first set can do work that requires the second. */
export function coversCapabilities(offered: readonly string[], required: readonly string[]): boolean {
  const has = new Set(offered);
  return required.every((token) => has.has(token));
}

/** A short hash of a set of tokens, for logs: eight hexadecimal digits. Different sets can share one. */
export function capabilityDigest(tokens: readonly string[]): string {
  const hash = fnv1a64(parseCapabilities(tokens).join(','));
  return ((hash >> 32n) ^ (hash & 0xffffffffn)).toString(16).padStart(8, '0');
}
