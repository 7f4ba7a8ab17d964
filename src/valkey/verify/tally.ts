/** The executions of a partition as a verification has read them last, counted by lane and listed by flow. */
import { COUNTED_FLOW, COUNTED_HELD } from '../../../lua/layout.js';

/** Takes the number of executions under a letter of a lane or flow; the numbers of one letter are added. */
type Add = (name: string, letter: string, number: number) => void;

const partsOf = (row: string): string[] => row.split('\t');

export class Tally {
  /** `<lane><tab><letter><tab><held><tab><flow>` of each execution. */
  private readonly rows = new Map<string, string>();
  private readonly lanes = new Map<string, Map<string, number>>();
  private readonly members = new Map<string, Set<string>>();

  get size(): number {
    return this.rows.size;
  }

  get flows(): Iterable<string> {
    return this.members.keys();
  }

  membersOf(flow: string): readonly string[] {
    return [...(this.members.get(flow) ?? [])];
  }

  set(id: string, row: readonly string[]): void {
    this.delete(id);
    this.rows.set(id, row.join('\t'));
    this.count(row, 1);
    const [, , , flow = ''] = row;
    if (flow === '') return;
    const members = this.members.get(flow) ?? new Set();
    this.members.set(flow, members.add(id));
  }

  delete(id: string): void {
    const row = this.rows.get(id);
    if (row === undefined) return;
    this.rows.delete(id);
    const parts = partsOf(row);
    this.count(parts, -1);
    const [, , , flow = ''] = parts;
    const members = this.members.get(flow);
    members?.delete(id);
    if (members?.size === 0) this.members.delete(flow);
  }

  eachOfLanes(add: Add): void {
    for (const [lane, letters] of this.lanes) for (const [letter, number] of letters) add(lane, letter, number);
  }

  eachOfFlow(flow: string, add: Add): void {
    for (const id of this.members.get(flow) ?? []) {
      const [, letter = ''] = partsOf(this.rows.get(id) ?? '');
      add(COUNTED_FLOW + flow, letter, 1);
    }
  }

  private count([lane = '', letter = '', held = '']: readonly string[], number: number): void {
    const letters = this.lanes.get(lane) ?? new Map<string, number>();
    this.lanes.set(lane, letters);
    letters.set(letter, (letters.get(letter) ?? 0) + number);
    if (held === '1') letters.set(COUNTED_HELD, (letters.get(COUNTED_HELD) ?? 0) + number);
  }
}
