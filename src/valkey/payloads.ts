/**
 * Fetches payloads of claimed executions from their keys, with one command for many executions of a call, because the
 * scripting engine would hash and copy every payload that it returns.
 */
import type { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { operationNamed, type ParsedCommand } from '../../model/machine.js';
import { faulty, type Answer } from './answers.js';
import { inputKey } from './keys.js';

/**
 * With this many claims in a call, payloads are fetched: with 8 the second round trip costs more than it saves, with 50
 * less.
 */
export const FETCHED_FROM_CLAIMS = 20;

/** Most executions that the commands may claim. */
export function claimsIn(commands: readonly ParsedCommand[]): number {
  let claims = 0;
  for (const { name, args } of commands) claims += operationNamed(name).takes?.(args as never)?.count ?? 0;
  return claims;
}

/** An execution whose payload the server may have left in its key. */
interface Unfilled {
  readonly executionId: string;
  readonly payloadBytes: number;
  inputPayload: Buffer | undefined;
}

/** The mutable outcome of a claim. */
interface Claim {
  kind: 'claimed' | 'no_work';
  executions?: Unfilled[];
}

/** A claim and the index of its answer. */
interface PlacedClaim {
  readonly claim: Claim & { executions: Unfilled[] };
  readonly place: number;
}

/** Long payloads stay where they are: the owner reads them. */
const isUnfilled = ({ inputPayload, payloadBytes }: Unfilled): boolean =>
  inputPayload === undefined && payloadBytes <= LIMITS.maxClaimedInputBytes;

/**
 * Sets the payloads of claimed executions. Executions whose payload is gone are omitted: they were ended and purged, or
 * their key was removed by other software. If the fetch fails, only the claims that need it are answered with the
 * fault. Undefined, with nothing to await, if all payloads came with the claims.
 */
export function fillPayloads(
  prefix: string,
  answers: Answer[],
  fetch: (keys: readonly string[]) => Promise<readonly (Buffer | null)[]>,
): Promise<void> | undefined {
  const claims: PlacedClaim[] = [];
  answers.forEach((answer, place) => {
    if (!answer.ok || !('executions' in answer.outcome)) return;
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
  try {
    for (const group of groupsOf(claims.flatMap(({ claim }) => claim.executions.filter(isUnfilled)))) {
      const payloads = await fetch(group.map(({ executionId }) => inputKey(prefix, executionId)));
      group.forEach((execution, index) => (execution.inputPayload = payloads[index] ?? undefined));
    }
  } catch (error) {
    for (const { place } of claims) answers[place] = faulty(error as EngineError);
    return;
  }
  for (const { claim } of claims) keepFilled(claim);
}

/** Groups whose payloads one answer may carry: on a slow link the answer to all of them could be late. */
function groupsOf(unfilled: readonly Unfilled[]): Unfilled[][] {
  const groups: Unfilled[][] = [];
  let bytes = 0;
  for (const execution of unfilled) {
    bytes += execution.payloadBytes;
    const group = groups.at(-1);
    if (group !== undefined && bytes <= LIMITS.maxPartBytes) {
      group.push(execution);
      continue;
    }
    groups.push([execution]);
    bytes = execution.payloadBytes;
  }
  return groups;
}

function keepFilled(claim: Claim & { executions: Unfilled[] }): void {
  const filled = claim.executions.filter((execution) => !isUnfilled(execution));
  claim.executions = filled;
  if (filled.length > 0) return;
  const nothing: Claim = claim;
  nothing.kind = 'no_work';
  delete nothing.executions;
}
