/**
 * Claims of one worker that meet in a call: slots of a process that ask one by one, at the same moment, for the same
 * work. They are asked for as one claim, which costs the server less, and each gets its own: what a claim takes comes in
 * the order of its ids, and carries the lease id that was brought for it.
 */
import type { OutcomeOf, ParsedArgsOf, ParsedCommand } from '../../model/machine.js';
import { LIMITS } from '../../model/limits.js';
import type { Answer } from './answers.js';

type ClaimArgs = ParsedArgsOf<'claimForWorker'>;
type ClaimOutcome = OutcomeOf<'claimForWorker'>;

/** Claims of a lane that can be one: those that say the same of the worker. */
const sameness = ({ workerId, workerInstanceId, leaseTtlMs, workerCapabilities }: ClaimArgs): string =>
  `${workerId},${workerInstanceId},${leaseTtlMs},${workerCapabilities.join(',')}`;

/** Commands in which equal claims that follow each other are one, and how their answers become those of the originals. */
export interface Joint {
  readonly commands: readonly ParsedCommand[];
  readonly answersOf: (answers: readonly Answer[]) => Answer[];
}

export function jointClaims(originals: readonly ParsedCommand[]): Joint {
  const commands: ParsedCommand[] = [];
  /** For each original, where the command is that it became. */
  const places: number[] = [];
  /** By lane the last claim, which the next one joins if it is the same: so claims of one lane keep their order. */
  let open = new Map<string, { readonly key: string; readonly place: number }>();
  for (const original of originals) {
    if (original.name !== 'claimForWorker') {
      open = new Map();
      places.push(commands.push(original) - 1);
      continue;
    }
    const key = sameness(original.args);
    const last = open.get(original.args.laneId);
    const joined = last?.key === key ? together(commands[last.place] as Claim, original) : undefined;
    if (last !== undefined && joined !== undefined) {
      commands[last.place] = joined;
      places.push(last.place);
    } else {
      const place = commands.push(original) - 1;
      open.set(original.args.laneId, { key, place });
      places.push(place);
    }
  }
  if (commands.length === originals.length) return { commands, answersOf: (answers) => [...answers] };
  return { commands, answersOf: (answers) => shared(originals, places, answers) };
}

type Claim = Extract<ParsedCommand, { name: 'claimForWorker' }>;

function together(first: Claim, second: Claim): Claim | undefined {
  const claims = [...first.args.claims, ...second.args.claims];
  return claims.length > LIMITS.maxClaimCount ? undefined : { name: 'claimForWorker', args: { ...first.args, claims } };
}

/** The outcome of a claim that is several, as it is handed out. */
interface Share {
  /** The first execution that nobody has got yet. */
  next: number;
  /** What the claim ended is told once, to the first of them. */
  reclaimCapExceeded: readonly string[];
}

function shared(originals: readonly ParsedCommand[], places: readonly number[], answers: readonly Answer[]): Answer[] {
  const shares = new Map<number, Share>();
  return originals.map((original, index) => {
    const place = places[index] as number;
    const answer = answers[place] as Answer;
    if (original.name !== 'claimForWorker' || !answer.ok) return answer;
    const outcome = answer.outcome as ClaimOutcome;
    const share = shares.get(place) ?? { next: 0, reclaimCapExceeded: outcome.reclaimCapExceeded };
    shares.set(place, share);
    return { ...answer, outcome: ownOf(original.args, outcome, share) };
  });
}

function ownOf({ claims }: ClaimArgs, outcome: ClaimOutcome, share: Share): ClaimOutcome {
  const all = outcome.kind === 'claimed' ? outcome.executions : [];
  const executions: typeof all = [];
  for (const { leaseId } of claims) {
    const execution = all[share.next];
    if (execution === undefined || execution.leaseId !== leaseId) continue;
    executions.push(execution);
    share.next++;
  }
  const { reclaimCapExceeded } = share;
  share.reclaimCapExceeded = [];
  return executions.length === 0
    ? { kind: 'no_work', reclaimCapExceeded: [...reclaimCapExceeded] }
    : { kind: 'claimed', executions, reclaimCapExceeded: [...reclaimCapExceeded] };
}
