/** Lists of several partitions, merged page by page. */
import { describe, expect, it } from 'vitest';
import { mergedLists, type ReadPage } from '../../src/engine/merged.js';

interface Row {
  readonly executionId: string;
  readonly list: number;
}

/** A list of these rows; `asked` gets the size of every page that is read. */
function listOf(rows: readonly Row[], asked: number[] = []): ReadPage<Row> {
  return ({ cursor, limit }) => {
    asked.push(limit);
    const start = cursor === undefined ? 0 : rows.findIndex(({ executionId }) => executionId === cursor) + 1;
    const page = rows.slice(start, start + limit);
    const isLast = start + limit >= rows.length;
    return Promise.resolve({ rows: page, nextCursor: isLast ? undefined : page.at(-1)?.executionId });
  };
}

const rowsOf = (list: number, ...ids: string[]): Row[] => ids.map((executionId) => ({ executionId, list }));

async function all(lists: readonly ReadPage<Row>[], after?: string): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of mergedLists(lists, (a, b) => a.executionId < b.executionId, after)) rows.push(row);
  return rows;
}

describe('merged lists', () => {
  it('are in one order, for lists of any length', async () => {
    const lists = [listOf(rowsOf(1, 'a', 'd')), listOf([]), listOf(rowsOf(2, 'b', 'c', 'e'))];
    expect((await all(lists)).map(({ executionId }) => executionId)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('begin after a cursor in every list', async () => {
    const lists = [listOf(rowsOf(1, 'a', 'b', 'd')), listOf(rowsOf(2, 'b', 'c'))];
    expect((await all(lists, 'b')).map(({ executionId }) => executionId)).toEqual(['c', 'd']);
  });

  it('contain an execution once that moved between two lists while they were read, as in the first list', async () => {
    expect(await all([listOf(rowsOf(1, 'a')), listOf(rowsOf(2, 'a', 'b'))])).toEqual([
      { executionId: 'a', list: 1 },
      { executionId: 'b', list: 2 },
    ]);
  });

  it('are read by pages that double up to a hundred rows, since most readers stop early', async () => {
    const asked: number[] = [];
    const ids = Array.from({ length: 400 }, (_, i) => String(i).padStart(3, '0'));
    expect(await all([listOf(rowsOf(1, ...ids), asked)])).toHaveLength(400);
    expect(asked).toEqual([10, 20, 40, 80, 100, 100, 100]);
  });

  it('read nothing more when their reader stops', async () => {
    const asked: number[] = [];
    const ids = Array.from({ length: 40 }, (_, i) => String(i).padStart(3, '0'));
    for await (const _ of mergedLists([listOf(rowsOf(1, ...ids), asked)], () => true)) break;
    expect(asked).toEqual([10]);
  });
});
