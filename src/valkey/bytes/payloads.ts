/**
 * Fetches payloads of claimed executions from their keys, with one command for many executions of a call, because the
 * scripting engine would hash and copy every payload that it returns.
 */
import { LIMITS } from '../../../model/limits.js';
import { operationNamed, type ParsedCommand } from '../../../model/machine.js';
import type { Answer } from '../wire/answers.js';
import { inputKey } from '../keys.js';

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

type FilledClaim = Claim & { executions: Unfilled[] };

type FetchPayloads = (keys: readonly string[]) => Promise<readonly (Buffer | null)[]>;

/** Long payloads stay where they are: the owner reads them. */
const isUnfilled = ({ inputPayload, payloadBytes }: Unfilled): boolean =>
  inputPayload === undefined && payloadBytes <= LIMITS.maxClaimedInputBytes;

/**
 * Sets the payloads of claimed executions. Executions whose payload is gone are omitted: they were ended and purged, or
 * their key was removed by other software. If a fetch fails, the claims were still made: their executions are answered
 * without payloads, which their owners read. Undefined, with nothing to await, if all payloads came with the claims.
 */
export function fillPayloads(
  prefix: string,
  answers: readonly Answer[],
  fetch: FetchPayloads,
): Promise<void> | undefined {
  const claims: FilledClaim[] = [];
  for (const answer of answers) {
    if (!answer.ok || !('executions' in answer.outcome)) continue;
    const claim = answer.outcome as unknown as FilledClaim;
    if (claim.executions.some(isUnfilled)) claims.push(claim);
  }
  return claims.length === 0 ? undefined : fill(prefix, claims, fetch);
}

async function fill(prefix: string, claims: readonly FilledClaim[], fetch: FetchPayloads): Promise<void> {
  const gone = new Set<Unfilled>();
  for (const group of groupsOf(claims.flatMap(({ executions }) => executions.filter(isUnfilled)))) {
    const payloads = await fetch(group.map(({ executionId }) => inputKey(prefix, executionId))).catch(() => undefined);
    // A further group would have to wait as long.
    if (payloads === undefined) break;
    group.forEach((execution, index) => {
      execution.inputPayload = payloads[index] ?? undefined;
      if (execution.inputPayload === undefined) gone.add(execution);
    });
  }
  if (gone.size > 0) for (const claim of claims) omit(claim, gone);
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

function omit(claim: FilledClaim, gone: ReadonlySet<Unfilled>): void {
  claim.executions = claim.executions.filter((execution) => !gone.has(execution));
  if (claim.executions.length > 0) return;
  const nothing: Claim = claim;
  nothing.kind = 'no_work';
  delete nothing.executions;
}
