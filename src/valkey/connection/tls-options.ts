/** The options of `tls.connect`, checked before the first connection: a wrong one is no fault of a server. */
import { createSecureContext, type ConnectionOptions as TlsConnectionOptions } from 'node:tls';
import type { EngineError } from '../../../model/errors.js';
import { codedWords, isCertificateFault } from '../../../model/safe-cause.js';
import { invalidOption } from '../invalid-option.js';

/** Certificates and names for Node's `tls.connect`: `ca`, `cert`, `key`, `passphrase`, `servername`, ... */
export type TlsOptions = Omit<TlsConnectionOptions, 'host' | 'port' | 'path' | 'socket' | 'lookup'>;

/** The error for an option that Node cannot use. */
export const invalidTls = (what: string): EngineError => invalidOption('tls', what);

type IdentityCheck = NonNullable<TlsOptions['checkServerIdentity']>;

/** @throws EngineError `invalid_input`, which names the option */
export function checkedTls(given: TlsOptions): TlsOptions {
  for (const name of ['ca', 'cert', 'key'] as const) checkPem(name, given[name]);
  if (given.secureContext === undefined) {
    const error = contextError(given);
    if (error !== undefined) {
      // With several wrong options none is named.
      const culprit = Object.keys(given).find((name) => contextError({ ...given, [name]: undefined }) === undefined);
      const words = isCertificateFault(error) ? codedWords(error) : 'Node does not accept it';
      throw invalidTls(`${culprit === undefined ? 'the options' : `\`${culprit}\``} cannot be used: ${words}.`);
    }
  }
  const { checkServerIdentity: check } = given;
  return check === undefined ? given : { ...given, checkServerIdentity: guardedCheck(check) };
}

/** Node ignores authorities that it cannot read, and takes every certificate for one of an unknown authority. */
function checkPem(name: string, given: unknown): void {
  for (const each of [given].flat())
    if ((typeof each === 'string' || Buffer.isBuffer(each)) && each.length > 0 && !each.includes('-----BEGIN '))
      throw invalidTls(`\`${name}\` is not in PEM form; give the content of the file, not its path.`);
}

function contextError(options: TlsOptions): unknown {
  try {
    createSecureContext(options);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The caller's check of a certificate. An error that it throws would end the process. */
function guardedCheck(check: IdentityCheck): IdentityCheck {
  return (host, certificate) => {
    try {
      const refused = check(host, certificate);
      if (refused === undefined || isCertificateFault(refused)) return refused;
    } catch {
      // It is reported like an error that is returned.
    }
    const error = new Error('the function `checkServerIdentity` of the options refused the certificate');
    return Object.assign(error, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  };
}
