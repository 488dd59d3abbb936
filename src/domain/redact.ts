/**
 * What looks like a secret: GitHub's tokens, of which those of installations hold a JWT with dots and hyphens and are some 520 characters long;
 * registration tokens; JWTs; private keys; and who logs in by an address. Each pattern begins where no run of its own characters goes on, so
 * that no text costs more than its length.
 * https://docs.github.com/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats
 */
const SECRETS: readonly RegExp[] = [
  /\bgh[oprsu]_[\w.-]{10,}\b/g,
  /\bgithub_pat_\w{10,}\b/g,
  /\b[A-Z0-9]{29}\b/g,
  /(?<![\w-])eyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]+)?/g,
  /-----BEGIN [A-Z ]{0,30}PRIVATE KEY[^]*?(?:-----END[^-]*-----|$)/g,
  /(?<=:\/\/)[^\s/@]+(?=@)/g,
];

/** The text with `[secret]` where something looks like one. */
export function redacted(text: string): string {
  return SECRETS.reduce((rest, secret) => rest.replace(secret, '[secret]'), text);
}
