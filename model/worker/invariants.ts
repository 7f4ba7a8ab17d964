/** What holds for workers. Source: spec 05 section 14, rule 20. */
import type { Event } from '../events.js';
import { LIMITS } from '../limits.js';
import type { Invariant } from '../specification/invariant.js';
import { WORKER } from './facts.js';

/** A worker according to the events: its registration, and until when it counts as alive. */
interface Life {
  readonly since: number;
  readonly ttlMs: number;
  readonly until: number;
}

type WorkerEvent = Extract<Event, { workerInstanceId: string; type: `worker_${string}` }>;

/** Returns the rule that an event breaks; `life` is undefined when the log does not show it. */
type Rule = (event: WorkerEvent, life: Life | 'gone' | undefined) => string | undefined;

const isOfWorker = (event: Event): event is WorkerEvent => event.type.startsWith(`${WORKER.kind}_`);

const isOver = (life: Life | 'gone', at: number): boolean => life === 'gone' || at >= life.until;

function lifeAfter(event: WorkerEvent, life: Life | 'gone' | undefined): Life | 'gone' | undefined {
  switch (event.type) {
    case 'worker_registered':
      return { since: event.registeredAt, ttlMs: event.livenessTtlMs, until: event.at + event.livenessTtlMs };
    case 'worker_heard':
      return life === undefined || life === 'gone' ? life : { ...life, until: event.at + life.ttlMs };
    default:
      return 'gone';
  }
}

/** A rule over the events of each worker. It compares times, so it holds once the clock has stepped back. */
function overLives(name: string, rule: Rule): Invariant {
  return {
    name,
    check({ log, replay }) {
      if (replay.steppedBack) return undefined;
      const lives = new Map<string, Life | 'gone' | undefined>();
      for (const { event } of log) {
        if (!isOfWorker(event)) continue;
        const life = lives.get(event.workerInstanceId);
        const broken = rule(event, life);
        if (broken !== undefined) return `${event.workerInstanceId} ${broken}`;
        lives.set(event.workerInstanceId, lifeAfter(event, life));
      }
      return undefined;
    },
  };
}

export const workerInvariants: readonly Invariant[] = [
  {
    name: 'a namespace has at most the maximum number of workers',
    check: ({ state: { tables } }) =>
      tables.worker.size <= LIMITS.maxWorkers ? undefined : `${tables.worker.size} workers`,
  },
  {
    name: 'a worker is filed under its id, and was heard when it registered or later',
    check({ state: { tables } }) {
      for (const [id, { workerInstanceId, registeredAt, lastHeartbeatAt }] of tables.worker)
        if (id !== workerInstanceId || lastHeartbeatAt < registeredAt) return id;
      return undefined;
    },
  },
  overLives('a worker that is dead is heard again only once it registered', (event, life) =>
    event.type === 'worker_heard' && life !== undefined && isOver(life, event.at) ? 'was heard' : undefined,
  ),
  overLives('a worker keeps its age while it lives, and begins anew when it does not', (event, life) => {
    if (event.type !== 'worker_registered' || life === undefined) return undefined;
    const since = isOver(life, event.at) ? event.at : (life as Life).since;
    return event.registeredAt === since ? undefined : `is registered since ${event.registeredAt}, not ${since}`;
  }),
  overLives('a worker lapses only once it was not heard for its time', (event, life) =>
    event.type === 'worker_lapsed' && life !== undefined && (life === 'gone' || event.at < life.until)
      ? 'lapsed'
      : undefined,
  ),
];
