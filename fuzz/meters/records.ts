/** What the processes of a run of meters write down: before what they do, and after its answer. One line of JSON each. */

export type MeterRecord =
  /** A reservation is about to be settled with this. */
  | { readonly entry: 'settles'; readonly reservationId: string; readonly used: number }
  /** The settlement was answered. */
  | { readonly entry: 'settled'; readonly reservationId: string }
  /** A handler began for a tenant, and ended. */
  | { readonly entry: 'began' | 'ended'; readonly by: string; readonly tenant: string; readonly at: number };

/** The lines of a file that a process may have been killed over. */
export function recordsOf(text: string): MeterRecord[] {
  const lines = text.split('\n');
  // What stands behind the last line break was cut off in the middle.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as MeterRecord);
}
