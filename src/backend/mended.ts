/** The message for operators about a partition that was repaired after calls had broken off in it. */
import { EngineError } from '../../model/errors.js';
import { brand } from '../util/brand.js';
import type { VerifyFinding, VerifyReport } from './backend.js';

/** Findings in one message. */
const MAX_NAMED = 5;

const wordsOf = ({ index, problem, count }: VerifyFinding): string =>
  problem === 'wrong_type' ? `${index} (rebuilt)` : `${index} (${count})`;

/** `corruption`: calls had broken off in a partition, or an unreadable record was dropped, and it was verified. */
export class PartitionMended extends EngineError {
  static {
    brand(PartitionMended, 'partition_mended');
  }

  /** Not printed with the error: there can be many. */
  readonly #findings: readonly VerifyFinding[];

  constructor(partition: string, { findings }: VerifyReport) {
    const named = findings.slice(0, MAX_NAMED).map(wordsOf).join(', ');
    const more = findings.length > MAX_NAMED ? ` and ${findings.length - MAX_NAMED} more` : '';
    const found = named === '' ? 'nothing was half done' : `repaired ${named}${more}`;
    super(
      'corruption',
      `${partition}: verified, because calls had broken off halfway or an unreadable record was dropped; ${found}.`,
      {
        detail: { partition },
      },
    );
    this.#findings = findings;
  }

  /** What was repaired. */
  get findings(): readonly VerifyFinding[] {
    return this.#findings;
  }
}
