/**
 * What an error of the engine says of its cause. Errors of the client library carry the command that met them, with its
 * password or payload; errors of a decoder quote what they could not read. So no such error is ever handed out: a new
 * one stands for it, made here and nowhere else, with its class, its code, its frames and words that are known to be safe.
 */

const MAX_WORDS = 300;
/** Behind this the server repeats the arguments of a command. */
const ARGUMENTS = /,? with args beginning with[\s\S]*$/;
const NAME = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;

/** An error of a socket or of TLS: it has a code, and speaks of addresses and certificates only. */
export interface CodedError extends Error {
  readonly code: string;
}

/** Words of the server, without what they repeat of a command. */
export function serverWords(message: string): string {
  const words = message.replace(ARGUMENTS, '').replace(/\s+/g, ' ').trim().replace(/\.$/, '');
  return words.length <= MAX_WORDS ? words : `${words.slice(0, MAX_WORDS)}...`;
}

/** Codes with which Node refuses a certificate, or the peer refuses ours. */
const CERTIFICATE =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|CRL_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|PATH_LENGTH_EXCEEDED)|^EPROTO$/;
/** Codes of sockets and of name resolution. Others, such as those of wrong arguments, quote values. */
const SOCKET = /^(E[A-Z]{2,}|EAI_[A-Z]+)$/;

const codeOf = (error: unknown): string =>
  error instanceof Error && typeof (error as Partial<CodedError>).code === 'string' ? (error as CodedError).code : '';

/** Whether TLS failed, for want of a certificate that both sides accept. */
export function isCertificateFault(error: unknown): error is CodedError {
  return CERTIFICATE.test(codeOf(error));
}

/** Whether it is an error of the way to the server: its message speaks of addresses and certificates only. */
export function isCoded(error: unknown): error is CodedError {
  return SOCKET.test(codeOf(error)) || isCertificateFault(error);
}

/** The words of such an error; of TLS only the reason, without the place in its library. */
export function codedWords(error: CodedError & { readonly reason?: unknown }): string {
  const { code, reason, message } = error;
  return serverWords(/^ERR_(SSL|OSSL)_/.test(code) && typeof reason === 'string' ? reason : message);
}

/** The server's own words: an error reply. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** Stands for an error of something else inside an error of ours. */
export function safeCause(error: unknown): Error {
  const name = error instanceof Error && NAME.test(error.name) ? error.name : 'Error';
  const safe: Error & { code?: string } = new Error(wordsOf(error));
  Object.defineProperty(safe, 'name', { value: name, configurable: true, writable: true });
  if (isCoded(error)) safe.code = error.code;
  const frames = error instanceof Error ? framesOf(error) : [];
  safe.stack = [`${name}: ${safe.message}`, ...frames].join('\n');
  return safe;
}

function wordsOf(error: unknown): string {
  if (isReply(error)) return serverWords(error.message);
  if (isCoded(error)) return codedWords(error);
  return 'What it says is withheld, since it can quote data';
}

/** Places in the code; the lines before them repeat the message. */
function framesOf({ stack }: Error): string[] {
  return typeof stack === 'string' ? stack.split('\n').filter((line) => /^\s+at /.test(line)) : [];
}
