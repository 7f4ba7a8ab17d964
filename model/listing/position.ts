/** Positions in lists that are not ordered by id: a number, and the id among equal numbers. */
import { z } from 'zod';
import { compareBytes, executionIdIn, isExecutionId, memberOf } from '../ids.js';

/** A position in a list. */
export interface Position {
  readonly score: number;
  readonly executionId: string;
}

/** Ids of different partitions are compared by their UUIDs, so that lists of several can be merged. */
export const comparePositions = (a: Position, b: Position): number =>
  a.score - b.score || compareBytes(memberOf(a.executionId), memberOf(b.executionId));

const CURSOR = /^(-?\d{1,16}):(.+)$/;

/** A position as the cursor of a page. */
export const cursorOf = ({ score, executionId }: Position): string => `${score}:${executionId}`;

function positionIn(cursor: string): Position | undefined {
  const [, score, executionId] = CURSOR.exec(cursor) ?? [];
  return executionId !== undefined && isExecutionId(executionId) && Number.isSafeInteger(Number(score))
    ? { score: Number(score), executionId }
    : undefined;
}

/** The position that a cursor names, as the partition stores ids. The cursor may be of another partition. */
export function positionFor(partition: string, cursor: string | undefined): Position | undefined {
  const position = cursor === undefined ? undefined : positionIn(cursor);
  return position && { ...position, executionId: executionIdIn(partition, memberOf(position.executionId)) };
}

/** The cursor of a list by position. */
export const positionCursor = z
  .string()
  .refine((text) => positionIn(text) !== undefined, { error: 'must be a cursor that a page answered' });

/** The definition of a page: the rows after a position, and where the next page begins. */
export function pageBehind<Item>(
  placed: readonly (Position & { readonly item: Item })[],
  after: Position | undefined,
  limit: number,
): { readonly items: readonly Item[]; readonly next: Position | undefined } {
  const later = placed.filter((it) => after === undefined || comparePositions(it, after) > 0).sort(comparePositions);
  const page = later.slice(0, limit);
  return { items: page.map(({ item }) => item), next: later.length > limit ? page.at(-1) : undefined };
}
