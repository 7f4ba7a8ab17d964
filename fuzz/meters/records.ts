/**
 * Records of the processes of a run of meters: written before each action, and after its answer. One line of JSON each.
 */

export type MeterRecord =
  /** A reservation is about to be settled with this amount. */
  | { readonly entry: 'settles'; readonly reservationId: string; readonly used: number }
  /** The settlement was answered. */
  | { readonly entry: 'settled'; readonly reservationId: string }
  /** A handler of a tenant started or ended. */
  | { readonly entry: 'began' | 'ended'; readonly by: string; readonly tenant: string; readonly at: number };

/** The lines of a file whose process may have been killed while writing. */
export function recordsOf(text: string): MeterRecord[] {
  const lines = text.split('\n');
  // Text after the last line break is an unfinished line.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as MeterRecord);
}
