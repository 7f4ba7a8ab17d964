/** What the tasks of the deployment are given. */
export interface Input {
  readonly run: number;
  /** Makes the input too long for a claim. */
  readonly filler?: string;
  /** For a child: its duration, and whether it fails. */
  readonly child?: { readonly takesMs: number; readonly fails: boolean };
  /** For a member of a flow: the results of its upstreams. */
  readonly given?: unknown;
}

/** The run of a child: requested only by its parent. */
export const NO_RUN = -1;
