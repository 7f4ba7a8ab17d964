/** The notice that a backend has lost its connection to the store, or has it again. */
import { EngineError, type ErrorCode } from '../../model/errors.js';
import { brand } from '../util/brand.js';

/**
 * The connection to the store was lost, or is there again: `isLost` decides. The code is that of the fault that ended
 * the connection, `transport_failed` unless another one is known.
 */
export class ConnectionNotice extends EngineError {
  static {
    brand(ConnectionNotice, 'connection_notice');
  }

  constructor(
    /** Whether it was lost. */
    readonly isLost: boolean,
    message: string,
    { code = 'transport_failed', cause }: { code?: ErrorCode; cause?: unknown } = {},
  ) {
    super(code, message, { cause });
  }
}
