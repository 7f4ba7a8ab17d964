/**
 * Payloads of claimed executions that stayed in their keys: fetched by one command for all that a call claimed, since
 * what the scripting engine hands over is hashed and copied by it.
 */
import type { EngineError } from '../../model/errors.js';
import { operationNamed, type ParsedCommand } from '../../model/machine.js';
import { faulty, type Answer } from './answers.js';
import { inputKey } from './keys.js';

/** From so many claims in one call on, their payloads are fetched: with 8 the second round trip costs more than it saves, with 50 less. */
export const FETCHED_FROM_CLAIMS = 20;

/** Executions that the commands ask for at most. */
export function claimsIn(commands: readonly ParsedCommand[]): number {
  let claims = 0;
  for (const { name, args } of commands) claims += operationNamed(name).takes?.(args as never)?.count ?? 0;
  return claims;
}

/** An execution whose payload the server left where it is. */
interface Unfilled {
  readonly executionId: string;
  inputPayload: Buffer | undefined;
}

/** A claim's outcome, as it is made from the reply. */
interface Claim {
  kind: 'claimed' | 'no_work';
  executions?: Unfilled[];
}

/** A claim and the place of its answer. */
interface PlacedClaim {
  readonly claim: Claim & { executions: Unfilled[] };
  readonly place: number;
}

const isUnfilled = ({ inputPayload }: Unfilled): boolean => inputPayload === undefined;

/**
 * Gives the claimed executions their payloads. One whose payload is gone is left out: somebody else ended it and it
 * was purged, or something outside removed what it was to work on. When they cannot be fetched, the claims that wait
 * for them are answered by that fault, and no others. Nothing is waited for when all came with their claims.
 */
export function fillPayloads(
  prefix: string,
  answers: Answer[],
  fetch: (keys: readonly string[]) => Promise<readonly (Buffer | null)[]>,
): Promise<void> | undefined {
  const claims: PlacedClaim[] = [];
  answers.forEach((answer, place) => {
    if (!answer.ok || answer.outcome.kind !== 'claimed') return;
    const claim = answer.outcome as unknown as PlacedClaim['claim'];
    if (claim.executions.some(isUnfilled)) claims.push({ claim, place });
  });
  return claims.length === 0 ? undefined : fill(prefix, claims, answers, fetch);
}

async function fill(
  prefix: string,
  claims: readonly PlacedClaim[],
  answers: Answer[],
  fetch: (keys: readonly string[]) => Promise<readonly (Buffer | null)[]>,
): Promise<void> {
  const unfilled = claims.flatMap(({ claim }) => claim.executions.filter(isUnfilled));
  try {
    const payloads = await fetch(unfilled.map(({ executionId }) => inputKey(prefix, executionId)));
    unfilled.forEach((execution, index) => (execution.inputPayload = payloads[index] ?? undefined));
  } catch (error) {
    for (const { place } of claims) answers[place] = faulty(error as EngineError);
    return;
  }
  for (const { claim } of claims) keepFilled(claim);
}

function keepFilled(claim: Claim & { executions: Unfilled[] }): void {
  const filled = claim.executions.filter((execution) => !isUnfilled(execution));
  claim.executions = filled;
  if (filled.length > 0) return;
  const nothing: Claim = claim;
  nothing.kind = 'no_work';
  delete nothing.executions;
}
