/** Work about to be created is offered to listeners of its own process first: their claims are sent along. */
import type { Wake } from '../../engine/index.js';
import type { Gathered } from './link.js';

interface Listening {
  readonly lanes: readonly string[];
  readonly capabilities: readonly string[] | undefined;
  readonly listener: (wake: Wake) => void;
}

interface Arrival {
  readonly laneId: string;
  readonly requiredCapabilities: readonly string[];
  readonly executionKind: string;
  readonly priority: number;
  count: number;
}

/** Offers the creations among these; commands that listeners send before they return are added to `gathered`. */
export function offerToClaimers(
  partition: string,
  gathered: readonly Gathered[],
  listening: Iterable<Listening>,
  listenerThrew: (error: unknown) => void,
): void {
  const arrivals = arrivalsIn(gathered);
  if (arrivals.length === 0) return;
  const capable = [...listening].sort((a, b) => (a.capabilities?.length ?? 0) - (b.capabilities?.length ?? 0));
  for (const { count, ...head } of arrivals) {
    const { laneId, requiredCapabilities } = head;
    const before = gathered.length;
    for (const { lanes, capabilities, listener } of capable) {
      const left = count - claimsIn(gathered.slice(before), laneId);
      if (left <= 0) break;
      if (!lanes.includes(laneId) || !requiredCapabilities.every((each) => capabilities?.includes(each) ?? true))
        continue;
      try {
        listener({ kind: 'work', partition, ...head, arriving: left });
      } catch (error) {
        listenerThrew(error);
      }
    }
  }
}

function arrivalsIn(gathered: readonly Gathered[]): Arrival[] {
  const arrivals = new Map<string, Arrival>();
  for (const command of gathered.flatMap(({ commands }) => commands)) {
    if (command.name !== 'createExecution') continue;
    const { laneId, executionKind, priority = 0, policy, delayUntil } = command.args;
    if (delayUntil !== undefined) continue;
    const requiredCapabilities = [...(policy?.routingRequirements?.requiredCapabilities ?? [])].sort();
    const key = `${laneId} ${executionKind} ${priority} ${requiredCapabilities.join()}`;
    const arrival = arrivals.get(key);
    if (arrival === undefined) arrivals.set(key, { laneId, requiredCapabilities, executionKind, priority, count: 1 });
    else arrival.count++;
  }
  return [...arrivals.values()];
}

function claimsIn(gathered: readonly Gathered[], laneId: string): number {
  let claims = 0;
  for (const command of gathered.flatMap(({ commands }) => commands))
    if (command.name === 'claimForWorker' && command.args.laneId === laneId) claims += command.args.claims.length;
  return claims;
}
