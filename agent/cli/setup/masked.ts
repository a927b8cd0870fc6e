const SECRET_KEYS = 'password|passwd|auth|authorization|identity_?token|registrytoken|token|secret';

/** The value of a key that may hold a secret, up to its line's end or its quote's, and a block of lines below it. */
const SECRET_VALUE = new RegExp(
  `((?:${SECRET_KEYS})["']?[ \\t]*[:=][ \\t]*)("(?:[^"\\\\\\n]|\\\\.)*"|'[^'\\n]*'|\\[[^\\]]*\\]|[|>][^\\n]*(?:\\n[ \\t]+[^\\n]*)*|[^\\s{[][^\\n]*)`,
  'gi',
);

/** A user and password in a URL, as proxies have them. */
const USER_INFO = /(:\/\/)[^\s/@"']+@/g;

/** A file's content fit to be shown: what is printed ends up in tickets. What is written is not touched. */
export function masked(text: string): string {
  return text.replace(SECRET_VALUE, '$1(hidden)').replace(USER_INFO, '$1(hidden)@');
}
