/** The verdict on a mutant. */
export type Verdict =
  /** It was noticed by the differential run (number of the run, from 1; the corpus comes last), or by a test (0). */
  | { readonly kind: 'killed'; readonly run: number; readonly by: string }
  | { readonly kind: 'survived' }
  /** It does not compile or load, so it says nothing about the tests. */
  | { readonly kind: 'stillborn'; readonly because: string };

/** The reason for mutants that take too long. */
export const HANGS = 'it hangs';
