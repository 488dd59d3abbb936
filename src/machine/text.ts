/** How much of a command's output an error may carry, in characters. */
const EVIDENCE_LENGTH = 2_000;

/** Shapes of GitHub's tokens, and of registration tokens (29 capitals and digits). https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/ */
const TOKENS = /\b(?:gh[a-z]_[A-Za-z0-9_.-]{20,}|github_pat_[A-Za-z0-9_]{20,}|A[A-Z0-9]{28})\b/g;

/** ANSI sequences, such as those of Multipass's spinner. */
// oxlint-disable-next-line no-control-regex
const ESCAPES = /\u001B(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007]*\u0007|[@-Z\\-_])/g;

/** Control characters but tab and newline. */
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000B-\u001F\u007F]/g;

/** Text as a person may read it: without escape sequences, backspaces and other control characters. */
export function plainText(text: string): string {
  return text.replace(ESCAPES, '').replace(CONTROLS, '').trim();
}

/** The same with everything that looks like a token replaced. */
export function redacted(text: string): string {
  return plainText(text).replace(TOKENS, '[secret]');
}

/** The readable end of what a command printed. */
export function evidenceOf(text: string): string {
  return redacted(text).slice(-EVIDENCE_LENGTH);
}
