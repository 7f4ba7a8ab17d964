/**
 * Payloads of claimed executions that stayed in their keys: fetched by one command for all that a call claimed, since
 * what the scripting engine hands over is hashed and copied by it.
 */
import type { Decision } from '../../model/core/operation.js';
import type { OperationName, OutcomeOf, ParsedCommand } from '../../model/machine.js';
import { payloadKey } from './keys.js';

/** From so many claims in one call on, their payloads are fetched: about where a second round trip costs less. */
export const FETCHED_FROM_CLAIMS = 4;

/** Executions that the commands ask for at most. */
export function claimsIn(commands: readonly ParsedCommand[]): number {
  let claims = 0;
  for (const { name, args } of commands) if (name === 'claimForWorker') claims += args.claims.length;
  return claims;
}

/** An execution whose payload the server left where it is. */
interface Unfilled {
  readonly executionId: string;
  inputPayload: Buffer | null;
}

/**
 * Gives the claimed executions their payloads. One whose payload is gone is left out: somebody else ended it and it
 * was purged, or something outside removed what it was to work on.
 */
export async function fillPayloads(
  prefix: string,
  decisions: readonly Decision<OutcomeOf<OperationName>>[],
  fetch: (keys: readonly string[]) => Promise<readonly (Buffer | null)[]>,
): Promise<void> {
  const claims = decisions.flatMap((decision) => (decision.ok && decision.outcome.kind === 'claimed' ? [decision.outcome as unknown as { executions: Unfilled[] }] : []));
  const unfilled = claims.flatMap(({ executions }) => executions.filter(({ inputPayload }) => inputPayload === null));
  if (unfilled.length === 0) return;
  const payloads = await fetch(unfilled.map(({ executionId }) => payloadKey(prefix, executionId)));
  unfilled.forEach((execution, index) => (execution.inputPayload = payloads[index] ?? null));
  for (const claim of claims) claim.executions = claim.executions.filter(({ inputPayload }) => inputPayload !== null);
}
