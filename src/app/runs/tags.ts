/** Tags of runs and flows: the tags of callers, and the tags that the library adds. */

/** The prefix of tags that the library adds. */
export const RESERVED_TAGS = 'flowfabric.';

/** The tag with the own id of a run, so that lists and events can show it. */
export const OWN_ID_TAG = `${RESERVED_TAGS}id`;

/**
 * Tags as callers give them: a key has a part before and after a dot (`team.name`) in lower-case letters, digits and
 * `_`, at most 128 characters; a value has at most 1 024 bytes. Keys that begin with `flowfabric.` are reserved.
 */
export type Tags = Readonly<Record<`${string}.${string}`, string>>;

/** How the caller named and tagged a run. */
export interface Called {
  /** Your own id, if the run was given one. */
  readonly ownId: string | undefined;
  /** Its tags, without the tags that the library adds. */
  readonly tags: Readonly<Record<string, string>>;
}

/** The own id and the caller's tags, from the stored tags. */
export const calledBy = (stored: Readonly<Record<string, string>>): Called => ({
  ownId: stored[OWN_ID_TAG],
  tags: Object.fromEntries(Object.entries(stored).filter(([key]) => !key.startsWith(RESERVED_TAGS))),
});
