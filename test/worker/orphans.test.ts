import { expect, it } from 'vitest';
import { Orphans } from '../../src/worker/start/orphans.js';

it('work without a handler is handed back three times, then parked for longer and longer', () => {
  const orphans = new Orphans();
  const endings = Array.from({ length: 9 }, () => orphans.endingFor('e'));
  expect(endings.slice(0, 3)).toEqual(endings.slice(0, 3).map(() => ({ kind: 'release' })));
  expect(endings.slice(3)).toEqual(
    [1_000, 2_000, 4_000, 8_000, 10_000, 10_000].map((inMs) => ({ kind: 'delay', until: { inMs } })),
  );
  expect(orphans.endingFor('other')).toEqual({ kind: 'release' });
});
