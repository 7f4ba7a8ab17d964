/** Calls of several commands: unrelated commands, a lot of new work, all running work, a watched log. */
import fc from 'fast-check';
import { LIMITS } from '../../model/limits.js';
import { holder } from './choices.js';
import { drawn, simple, type Action } from './index.js';

const create = drawn('create');
const claim = drawn('claim');

/** One call of several commands. */
export const batchOf = (actions: readonly Action[]): Action => ({ do: 'batch', actions });

/** Unrelated calls in one batch. */
export const mixedBatch = fc
  .array(
    simple.filter(
      (it) => it.do !== 'time' && it.do !== 'due' && it.do !== 'quota_due' && it.do !== 'read' && it.do !== 'restart',
    ),
    { minLength: 2, maxLength: 4 },
  )
  .map(batchOf);

/** Many creations of one kind, and perhaps a claim after them: index entries of one queue are written together. */
export const bulkCreation = fc
  .tuple(create, fc.array(create, { minLength: 1, maxLength: 3 }), fc.option(claim))
  .map(([first, more, last]) =>
    batchOf([
      first,
      ...more.map((it) => ({
        ...it,
        lane: first.lane,
        kind: first.kind,
        capabilities: first.capabilities,
        meters: first.meters,
        delay: null,
      })),
      ...(last === null ? [] : [{ ...last, wants: null, lane: first.lane }]),
    ]),
  );

/** Commands of a busy worker, or of the engine, for all running work, and perhaps a claim after them. */
export const bulkEnd = fc
  .tuple(
    fc.array(fc.constantFrom('complete', 'cancel', 'release', 'mark', 'revoke'), { minLength: 2, maxLength: 4 }),
    fc.boolean(),
    fc.option(claim),
  )
  .map(([kinds, alike, last]) =>
    batchOf([
      ...kinds.map((kind, index): Action => {
        const owner = holder(index);
        switch (alike ? (kinds[0] as typeof kind) : kind) {
          case 'complete':
            return { do: 'complete', owner, resultBytes: null, encoding: false };
          case 'cancel':
            return { do: 'cancel', owner, engine: null };
          case 'release':
            return { do: 'release', owner };
          case 'mark':
            return { do: 'mark', pick: owner.pick };
          case 'revoke':
            return { do: 'revoke', pick: owner.pick, expected: 'none' };
        }
      }),
      ...(last === null ? [] : [last]),
    ]),
  );

/** A watch mark set after an entry of the same batch, and the next entry. */
export const watchedBatch = fc.tuple(create, create).map(([first, second]) =>
  batchOf([
    { ...first, again: null, key: null },
    { do: 'watch_log', ahead: 1 },
    { ...second, again: null, key: null },
  ]),
);

/** One reader more than a partition accepts. */
export const crowdOfReaders = fc.constant(
  batchOf(
    Array.from({ length: LIMITS.maxReaders + 1 }, (_, reader) => ({ do: 'commit', reader, back: 0, log: 'this' })),
  ),
);
