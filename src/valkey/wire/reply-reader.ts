/** Reads answers of the server. */
import type { AnswerReader } from '../../../model/core/wire-form.js';
import type { Earlier } from '../../../model/schedule/earlier.js';
import { earlierOf } from '../reads/earlier.js';
import { textOf, textsOf, type AnswerPart, type WireReply } from './reply.js';

const EMPTY = Buffer.alloc(0);

/** Reads the parts of one answer from front to back. */
export class ReplyReader implements AnswerReader {
  constructor(
    private readonly parts: readonly AnswerPart[],
    private at: number,
    readonly partition: string,
  ) {}

  text(): string {
    return textOf(this.next());
  }

  number(): number {
    const part = this.next();
    return typeof part === 'number' ? part : Number(textOf(part));
  }

  optionalNumber(): number | undefined {
    const part = this.next();
    if (typeof part === 'number') return part;
    return part === null || (part as string | Buffer).length === 0 ? undefined : Number(textOf(part));
  }

  optionalText(): string | undefined {
    return this.text() || undefined;
  }

  bytes(): Uint8Array | undefined {
    const part = this.next();
    return Buffer.isBuffer(part) ? part : undefined;
  }

  texts(): string[] {
    return textsOf(this.next());
  }

  beside(executionId: string): Earlier | undefined {
    return earlierOf(this.next() as WireReply, executionId);
  }

  private next(): AnswerPart {
    const part = this.parts[this.at++];
    return part === undefined ? EMPTY : part;
  }
}
