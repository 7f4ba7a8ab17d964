/** The subject of an event. Every event has exactly one, identified by its kind and its id. */
export interface Subject<Kind extends string = string, Key extends string = string> {
  /** Wire literal of the kind. */
  readonly kind: Kind;
  /** Name of the fact with the id, in the events and in the entity. */
  readonly key: Key;
  /** The id is a UUID, stored in its short form. */
  readonly shortId?: boolean;
}

export function subject<const Kind extends string, const Key extends string>(
  kind: Kind,
  key: Key,
  options: { readonly shortId?: boolean } = {},
): Subject<Kind, Key> {
  return { kind, key, ...options };
}
