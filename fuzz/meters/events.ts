/** The logs of the partitions of budgets and quota policies. */
import { isKnown, type Event } from '../../model/events.js';
import { familyOf } from '../../model/families.js';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../../src/backend/backend.js';

/** All events of a family, partition by partition. */
export async function meterEvents(backend: Backend, family: 'budget' | 'quota'): Promise<Event[]> {
  const all: Event[] = [];
  for (const partition of backend.partitionsInUse().filter((key) => familyOf(key) === family)) {
    let after: string | undefined;
    for (let isDone = false; !isDone; ) {
      const page = await backend.readLog({ partition, after, limit: LIMITS.maxPageSize });
      all.push(...page.events.filter(isKnown).map(({ event }) => event));
      after = page.next;
      isDone = page.atEnd;
    }
  }
  return all;
}
