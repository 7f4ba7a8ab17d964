/** Tables whose keys are words of a type. TypeScript widens their keys to `string`; here they keep their type. */

/** The keys of a table, in its order. Only for tables that are declared whole: an object could have further members. */
export function keysOf<Key extends string>(table: Readonly<Partial<Record<Key, unknown>>>): Key[] {
  return Object.keys(table) as Key[];
}

/** A table with a row for each key. */
export function tableOf<Key extends string, Row>(
  keys: readonly Key[],
  rowOf: (key: Key) => Row,
): Readonly<Record<Key, Row>> {
  return Object.fromEntries(keys.map((key) => [key, rowOf(key)])) as Record<Key, Row>;
}
