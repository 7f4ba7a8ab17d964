/**
 * Halves of characters between the chunks of a streamed text. A character outside the basic plane, such as an emoji, is
 * two code units of a string, and a caller that cuts texts by length can put them into two chunks. Encoded one by one,
 * both would be replaced by U+FFFD.
 */
export class Halves<Frame> {
  /** By the labels of the text: texts with other labels come in between. */
  private readonly held = new Map<string, { readonly half: string; readonly frames: (text: string) => Frame }>();
  private hasWarned = false;

  constructor(private readonly warn: (message: string) => void) {}

  /**
   * The text to write now: with the half that the chunk before has left, and without one at its own end.
   *
   * @param frames makes the frames of that half, if no chunk follows
   */
  joined(labels: string, chunk: string, frames: (text: string) => Frame): string {
    const text = (this.held.get(labels)?.half ?? '') + chunk;
    this.held.delete(labels);
    const last = text.charCodeAt(text.length - 1);
    const isHalf = last >= 0xd800 && last <= 0xdbff;
    if (isHalf) this.held.set(labels, { half: text.slice(-1), frames });
    const whole = isHalf ? text.slice(0, -1) : text;
    if (!whole.isWellFormed()) this.replaced();
    return whole;
  }

  /** The frames of what is left when the handler has ended. */
  left(): readonly Frame[] {
    const left = [...this.held.values()].map(({ half, frames }) => frames(half));
    if (left.length > 0) this.replaced();
    this.held.clear();
    return left;
  }

  private replaced(): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.warn('stream.text was given half of a character without its other half: readers get U+FFFD in its place');
  }
}
