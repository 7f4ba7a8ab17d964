/** What became of a mutant. */
export type Verdict =
  /** It was noticed: by the differential run, in this run (from 1; the corpus comes last), or by a test (0). */
  | { readonly kind: 'killed'; readonly run: number; readonly by: string }
  | { readonly kind: 'survived' }
  /** It does not even load: says nothing. */
  | { readonly kind: 'stillborn'; readonly because: string };

/** What a mutant is killed by that takes too long. */
export const HANGS = 'it hangs';
