/**
 * The member of a record whose names are texts of callers. Without the check, names such as `constructor` would find
 * what every object inherits.
 */
export const ownMember = <Value>(
  record: Readonly<Record<string, Value>> | undefined,
  name: string,
): Value | undefined => (record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined);
