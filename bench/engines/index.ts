import type { Engine, IdleEngine, ServerAddress, SubjectEngine } from '../adapter.js';

/** Every engine that can be measured: itself on a server, opened only when it is asked for. */
const openers = {
  list: async (address: ServerAddress): Promise<Engine> => (await import('./list.js')).openList(address),
  'bullmq-iovalkey': async (address: ServerAddress): Promise<IdleEngine> =>
    (await import('./bullmq.js')).openBullmq(address, 'iovalkey'),
  'bullmq-ioredis': async (address: ServerAddress): Promise<IdleEngine> =>
    (await import('./bullmq.js')).openBullmq(address, 'ioredis'),
  'bee-queue': async (address: ServerAddress): Promise<Engine> =>
    (await import('./bee-queue.js')).openBeeQueue(address),
  groupmq: async (address: ServerAddress): Promise<Engine> => (await import('./groupmq.js')).openGroupmq(address),
  flowfabric: async (address: ServerAddress): Promise<SubjectEngine> =>
    (await import('./flowfabric.js')).openFlowfabric(address),
} as const;

export type EngineName = keyof typeof openers;

/** Opens an engine; a process that measures one does not load the others. */
export function openEngine<Name extends EngineName>(
  name: Name,
  address: ServerAddress,
): ReturnType<(typeof openers)[Name]> {
  return openers[name](address) as ReturnType<(typeof openers)[Name]>;
}
